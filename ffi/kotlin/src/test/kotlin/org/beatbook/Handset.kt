// A phone in a folder, as an app holds one.

package org.beatbook

import org.beatbook.testing.Station
import java.io.File
import java.nio.file.Files

const val PIN = "518264"

class Handset : AutoCloseable {
    val folder: File = Files.createTempDirectory("beatbook-phone-").toFile()

    suspend fun open(vault: KeyVault = softwareVault(File(folder, "vault").path)): Beatbook =
        Beatbook.open(
            Config(File(folder, "books").path, "test phone"),
            Platform(vault, null, null),
        )

    suspend fun enrolled(station: Station, name: String): Session {
        val session = open().addUser(name, PIN)
        check(session.enrol(EnrolOrder(station.invite(name), station.url, null)).userName == name)
        session.sync().now()
        return session
    }

    override fun close() {
        folder.deleteRecursively()
    }
}

suspend fun Session.household(address: String): String {
    val records = records()
    val draft = records.draft("household", null)
    val saved = records.save(draft.copy(edit = edit("address" to text(address))))
    return records.submit(saved.id, null).record
}
