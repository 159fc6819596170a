// Whether the native library is there and of the build that these bindings are made from.

package org.beatbook

/** The native library is missing, or of another build than these bindings: ship both from one. Nothing was opened. */
class LibraryException(cause: Throwable) :
    Exception("the native library is missing, or of another build than its bindings: ${cause.message ?: cause.cause?.message}", cause)

/**
 * Loads the native library and gives its version. Call it before anything else: without it the first call into a library that does not fit
 * throws a [LinkageError] of the JVM.
 *
 * @throws LibraryException when it is missing or does not fit
 */
fun loadLibrary(): String =
    try {
        version()
    } catch (fault: LinkageError) {
        throw LibraryException(fault)
    }
