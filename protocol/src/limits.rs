//! Every maximum, with its reason. Both ends hold the same ones, so that nothing leaves a phone that a station would refuse for size.

/// Entries in one page: what a crash before sealing leaves unsigned stays small, and one signature (20-500 ms in phone hardware) covers a day.
pub const PAGE_ENTRIES_MAX: usize = 256;
/// Bytes of entries in one page, beyond which the next entry opens a new page.
pub const PAGE_BYTES_SEAL: usize = 128 * 1024;
/// Bytes of one entry: the largest change plus its frame.
pub const ENTRY_BYTES_MAX: usize = CHANGE_BYTES_MAX + 4 * 1024;
/// Bytes that a station adds to an entry that was given back to it: its frame, two books and a time.
pub const RECOVERED_FRAME_BYTES: usize = 128;
/// Bytes of entries in one page at most: what is sealed at `PAGE_BYTES_SEAL` may overshoot by one entry.
pub const PAGE_BYTES_MAX: usize = PAGE_BYTES_SEAL + ENTRY_BYTES_MAX + RECOVERED_FRAME_BYTES;
/// Bytes of one automerge change: a four-hour track segment is under 20 KB, a long note under 64 KB.
pub const CHANGE_BYTES_MAX: usize = 96 * 1024;
/// Operations in one change: a note of 20,000 characters written anew is 40,000 (each character out, each in), a form of 100 fields
/// with lists below 1,000; the guard's cost grows with them.
pub const CHANGE_OPS_MAX: usize = 50_000;
/// Changes that one document may hold; what recurs is a record of its own.
pub const DOCUMENT_CHANGES_MAX: usize = 1_000;
/// Bytes of all changes of one document.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Operations of all changes of one document: a note of 20,000 characters rewritten four times; runs make a few bytes into many of them.
pub const DOCUMENT_OPS_MAX: u64 = 200_000;
/// Characters of one text field.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Characters of one note (automerge Text).
pub const NOTE_CHARS_MAX: usize = 20_000;
/// Items of one list in a record.
pub const LIST_ITEMS_MAX: usize = 200;
/// Files named by one record.
pub const FILES_MAX: usize = 100;
/// Bytes of one track segment inside a document.
pub const SEGMENT_BYTES_MAX: usize = 32 * 1024;
/// Fixes in one track segment: a segment is a change, and 15 minutes at one fix a second bound what a crash may leave unencoded.
pub const SEGMENT_FIXES_MAX: usize = 900;
/// Bytes of one exchange request or reply as it travels (compressed).
pub const EXCHANGE_WIRE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one exchange after decompression: four times the wire, which real pages (ratio 2-4) hardly reach.
pub const EXCHANGE_BYTES_MAX: usize = 4 * EXCHANGE_WIRE_BYTES_MAX;
/// Pages in one exchange request or parcel: each costs the station a signature and a leaf, a millisecond, however little is in it.
pub const EXCHANGE_PAGES_MAX: usize = 128;
/// Bytes of entries after which a reply stops and says that there is more.
pub const REPLY_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that an entry counts for in a reply beside its own: however short it is, it costs a station some 25 us to find, check and
/// hash, and a reply is not to cost it more than 100 ms.
pub const REPLY_ENTRY_BYTES: usize = 320;
/// Entries that one request gives back to a restored station.
pub const GIVEN_MAX: usize = 2_048;
/// Records that one request wants whole.
pub const WANTED_MAX: usize = 4_096;
/// Nesting of CBOR: our deepest message has eight levels.
pub const CBOR_DEPTH_MAX: usize = 16;
/// Bytes of one act's comment and values together.
pub const ACT_BYTES_MAX: usize = 8 * 1024;
/// Heads that an act may pin: one per concurrent writer, and a record has few.
pub const HEADS_MAX: usize = 64;
/// Bytes of a kind file.
pub const KIND_BYTES_MAX: usize = 128 * 1024;
/// Characters of one expression in a kind file: a rule longer than a screen is two rules, and its cost grows with it.
pub const EXPRESSION_CHARS_MAX: usize = 2_000;
/// Loops within loops in one expression: two over full lists are 40,000 steps, three would be 8 million.
pub const EXPRESSION_LOOPS_MAX: usize = 2;
/// Bytes of a GPX file that is read: 100 MB of text is a million fixes; more is not one patrol.
pub const GPX_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Characters of what an app calls its version, as far as a station keeps them.
pub const APP_CHARS_MAX: usize = 64;
/// Bytes of entries in one parcel, before compression: what one exchange takes up; the pages beyond it go into a further parcel.
pub const PARCEL_ENTRY_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of a parcel's file, or of the answer's: a parcel of incompressible entries with its seals, and room in a message to carry it.
pub const PARCEL_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Parcels that one phone carries at most: colleagues of a shift, and no more than 48 MiB of somebody else's.
pub const PARCELS_CARRIED_MAX: usize = 16;
/// Pieces of blobs in one parcel: small pictures come first, and forty of them fill it.
pub const PARCEL_PIECES_MAX: usize = 64;
/// Bytes of one blob: a minute of video as phones record it, or five hours of speech; more is not evidence but an archive.
pub const BLOB_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Bytes of one upload request or download range that a phone works with: on the line for eight seconds at 1 Mbit/s, and in memory once.
pub const BLOB_PIECE_BYTES: usize = 1024 * 1024;
/// The smallest piece: a line that cannot carry this much in one go carries nothing, and heads would cost more than what they bring.
pub const BLOB_PIECE_BYTES_MIN: usize = 64 * 1024;
/// Blobs asked after in one call: the files of ten full records.
pub const BLOBS_ASKED_MAX: usize = 1_000;
/// Characters of a media type: what RFC 6838, section 4.2, allows each of its names, and more than both of any in use.
pub const MEDIA_TYPE_CHARS_MAX: usize = 127;
/// Keys that a station announces for its certificate: the present and the next one, of two stations that share a name, and as many again.
pub const PINS_MAX: usize = 8;
/// Root certificates that a phone is given: one a deployment, and the next while it changes.
pub const ROOTS_MAX: usize = 4;
/// Bytes of one root certificate in a text for phones: an elliptic one has 500, one of RSA 2,000.
pub const ROOT_BYTES_MAX: usize = 4 * 1024;
/// Characters of one emergency note: what is said in a hurry, twice over; the record comes after unlocking.
pub const EMERGENCY_CHARS_MAX: usize = 2_000;
/// Keys that one emergency note is sealed to: the station's own and those of a unit's custodians and of the units above it.
pub const EMERGENCY_KEYS_MAX: usize = 9;
/// Bytes of an emergency note's file: its words in four bytes each, once for each key, with their seals.
pub const EMERGENCY_BYTES_MAX: usize = 96 * 1024;
/// Emergency notes that wait on one phone for one user: nobody writes more without unlocking it, and a stranger fills no disk.
pub const EMERGENCY_NOTES_MAX: usize = 32;
