// swift-tools-version: 6.0
// Beatbook for Swift: the core's generated half, a layer of Swift's own ways over it, and a station for tests. `ffi/package swift LIBRARY` puts
// the package together in target/ffi/swift; as it lies in the tree it lacks what is generated.

import Foundation
import PackageDescription

/// Apps for Apple's phones bring the library as an xcframework (`xcframework.sh`); elsewhere it lies in `lib`.
let isFramework = FileManager.default.fileExists(atPath: Context.packageDirectory + "/BeatbookCore.xcframework")
let libraries = Context.packageDirectory + "/lib"

let library: Target =
    isFramework
    ? .binaryTarget(name: "BeatbookCoreFFI", path: "BeatbookCore.xcframework")
    : .systemLibrary(name: "BeatbookCoreFFI", path: "Sources/BeatbookCoreFFI")

/// Where the library is found by the linker, and by the program that starts. A static one says nothing of what else it wants of the system.
let place: [LinkerSetting] =
    isFramework
    ? [.linkedFramework("CoreFoundation"), .linkedFramework("Security")]
    : [.unsafeFlags(["-L\(libraries)", "-Xlinker", "-rpath", "-Xlinker", libraries])]

let package = Package(
    name: "Beatbook",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "Beatbook", targets: ["Beatbook"]),
        .library(name: "BeatbookTesting", targets: ["BeatbookTesting"]),
    ],
    targets: [
        library,
        // What is generated is checked by the rules of Swift 5.
        .target(
            name: "BeatbookCore",
            dependencies: ["BeatbookCoreFFI"],
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: place
        ),
        .target(name: "Beatbook", dependencies: ["BeatbookCore"]),
        .target(name: "BeatbookTesting", dependencies: ["Beatbook"]),
        .testTarget(name: "BeatbookTests", dependencies: ["Beatbook", "BeatbookTesting"]),
    ]
)
