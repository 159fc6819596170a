// What the surface costs through Kotlin on the JVM: `make bench-ffi`. Figures of one run; the machine's other load is in them.

package org.beatbook.bench

import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import org.beatbook.Beatbook
import org.beatbook.Config
import org.beatbook.EnrolOrder
import org.beatbook.Platform
import org.beatbook.PointSource
import org.beatbook.RecordFilter
import org.beatbook.RecordPage
import org.beatbook.RecordsListener
import org.beatbook.Session
import org.beatbook.TrackPoint
import org.beatbook.edit
import org.beatbook.now
import org.beatbook.pages
import org.beatbook.softwareVault
import org.beatbook.testing.Station
import org.beatbook.text
import java.io.File
import java.nio.file.Files
import java.util.concurrent.atomic.AtomicLong
import kotlin.system.measureNanoTime

private const val PIN = "518264"
private const val POINTS = 100_000
private const val BATCH = 1_000
private const val RECORDS = 10_000
private const val UPDATES = 10_000
private const val ROUNDS = 1_000

private fun ms(nanos: Long) = "%.2f ms".format(nanos / 1e6)

private fun said(what: String, figure: String) = println("%-64s %s".format(what, figure))

private fun resident() =
    File("/proc/self/status").takeIf { it.exists() }?.readLines()?.first { it.startsWith("VmRSS") }
        ?.filter { it.isDigit() }?.toLong()?.times(1024) ?: 0

private fun handles() = File("/proc/self/fd").list()?.size ?: 0

private suspend fun points(session: Session) {
    val patrols = session.patrols()
    patrols.start(edit())
    val walked =
        (0 until POINTS).map {
            TrackPoint(1_700_000_000_000 + 1000L * it, 39.9 + (it % 5000) * 2e-5, 116.4, 8.0, PointSource.GPS)
        }
    val nanos = measureNanoTime { walked.chunked(BATCH).forEach { patrols.addPoints(it) } }
    patrols.finish(edit())
    said("$POINTS track points in batches of $BATCH", ms(nanos))
}

private suspend fun records(session: Session) {
    val records = session.records()
    val nanos =
        measureNanoTime {
            repeat(RECORDS) {
                val draft = records.draft("household", null)
                val saved = records.save(draft.copy(edit = edit("address" to text("长安街${it}号"))))
                records.submit(saved.id, null)
            }
        }
    said("$RECORDS records drafted and submitted, each", ms(nanos / RECORDS))
    val filter = RecordFilter(limit = 50u)
    repeat(20) { records.page(filter) }
    val pages = (0 until 200).map { measureNanoTime { records.page(filter) } }.sorted()
    said("a page of 50 of them, median", ms(pages[pages.size / 2]))
    repeat(3) { records.pages(filter).first() }
    val firsts = (0 until 20).map { measureNanoTime { records.pages(filter).first() } }.sorted()
    said("the first result of observing them, median", ms(firsts[firsts.size / 2]))
}

private suspend fun updates(session: Session) {
    val records = session.records()
    val home = records.page(RecordFilter(limit = 1u)).rows.single().record
    val told = AtomicLong()
    val listener =
        object : RecordsListener {
            override fun onPage(page: RecordPage) {
                told.incrementAndGet()
            }
        }
    val subscriptions = (0 until 50).map { records.observe(RecordFilter(limit = 1u), listener) }
    var before = 0L
    var number = 0
    while (told.get() < UPDATES) {
        records.edit(home, edit("address" to text("长安街${number++}号")), null)
        if (before == 0L && told.get() > UPDATES / 10) before = resident()
    }
    subscriptions.forEach {
        it.cancel()
        it.destroy()
    }
    said("resident memory after a tenth of $UPDATES updates, and after all", "${before / 1_048_576} MB, ${resident() / 1_048_576} MB")
}

private suspend fun rounds(open: suspend () -> Beatbook) {
    val user = open().users().single().user
    var before = 0
    val nanos =
        measureNanoTime {
            repeat(ROUNDS) { round ->
                val book = open()
                // argon2 takes most of an unlock: each hundredth round is a whole one.
                if (round % 100 == 0) {
                    val session = book.unlock(user, PIN)
                    session.records().use { it.page(RecordFilter(limit = 1u)) }
                    session.lock()
                    session.destroy()
                }
                book.destroy()
                if (round == ROUNDS / 10) before = handles()
            }
        }
    said("open and close, each of $ROUNDS rounds", ms(nanos / ROUNDS))
    said("file handles after a tenth of the rounds, and after all", "$before, ${handles()}")
}

fun main() {
    val root = Files.createTempDirectory("beatbook-bench-").toFile()
    // One keystore for the process, as an app has it.
    val vault = softwareVault(File(root, "vault").path)
    val open = suspend { Beatbook.open(Config(File(root, "books").path, "bench"), Platform(vault, null, null)) }
    Station().use { station ->
        runBlocking {
            val session = open().addUser("bench", PIN)
            session.enrol(EnrolOrder(station.invite("bench"), station.url, null))
            session.sync().now()
            points(session)
            records(session)
            updates(session)
            session.lock()
            session.destroy()
            rounds(open)
        }
    }
    root.deleteRecursively()
}
