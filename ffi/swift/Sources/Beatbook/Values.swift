// Values and edits as Swift writes them: `draft.edit = ["address": "解放路3号", "floor": 3]`.

import BeatbookCore
import Foundation

extension FieldValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral {
    public init(stringLiteral value: String) {
        self = .text(value: value)
    }

    public init(integerLiteral value: Int64) {
        self = .number(value: value)
    }

    public init(floatLiteral value: Double) {
        self = .decimal(value: value)
    }

    public init(booleanLiteral value: Bool) {
        self = .yesNo(value: value)
    }
}

extension FieldValue {
    /// A text value.
    public static func text(_ value: String) -> FieldValue {
        .text(value: value)
    }

    /// A whole number.
    public static func number(_ value: Int64) -> FieldValue {
        .number(value: value)
    }

    /// A time, to the millisecond.
    public static func time(_ time: Date) -> FieldValue {
        .number(value: time.millisecondsSince1970)
    }
}

extension RecordEdit: ExpressibleByDictionaryLiteral {
    /// An edit of fields alone. Of two values for one field the later one counts.
    public init(_ fields: [String: FieldValue]) {
        self.init(fields: fields, items: [], notes: [:])
    }

    public init(dictionaryLiteral fields: (String, FieldValue)...) {
        self.init(Dictionary(fields, uniquingKeysWith: { _, later in later }))
    }
}

extension Date {
    /// As records and points have it.
    public init(millisecondsSince1970 milliseconds: Int64) {
        self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    }

    /// As records and points have it.
    public var millisecondsSince1970: Int64 {
        Int64((timeIntervalSince1970 * 1000).rounded())
    }
}
