// A program of its own whose library is not there: it says what it met.

package org.beatbook

object LibraryProgram {
    @JvmStatic
    fun main(args: Array<String>) {
        try {
            println(loadLibrary())
        } catch (fault: Exception) {
            println(fault.javaClass.simpleName)
        }
    }
}
