// A day on a phone through the coroutine layer, over a real station.

package org.beatbook

import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.takeWhile
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.beatbook.testing.Station
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class DayTest {
    @Test
    fun `a patrol is recorded in batches and goes on after a start`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "巡逻甲")
                val record = session.patrols().start(edit())
                val points = (0 until 600).map { point(it) }
                points.chunked(200).forEach { session.patrols().addPoints(it) }
                session.lock()
                val book = handset.open()
                val again = book.unlock(book.users().single().user, PIN)
                val active = again.patrols().active()
                assertEquals(record, active?.record)
                assertEquals(600UL, active?.counts?.points)
                assertEquals(record, again.patrols().finish(edit()))
                assertNull(again.patrols().active())
                val outcome = again.sync().now()
                assertTrue(outcome.complete)
                assertEquals(0UL, outcome.refused)
                again.lock()
            }
        }

    @Test
    fun `a list is a flow that ends with its collector`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "观察甲")
                val filter = RecordFilter(kind = "household", mine = true)
                val seen =
                    async(start = CoroutineStart.UNDISPATCHED) {
                        session.records().pages(filter).takeWhile { it.rows.size < 10 }.toList().map { it.rows.size }
                    }
                repeat(10) { session.household("南里${it}号") }
                val sizes = withTimeout(20_000) { seen.await() }
                assertEquals(sizes.sorted(), sizes)
                assertTrue(sizes.size <= 10)
                assertEquals(10, session.records().pages(filter).first().rows.size)
                session.lock()
            }
        }

    @Test
    fun `a cancelled coroutine cancels its sync and nothing is lost`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "取消甲")
                session.household("东里1号")
                val keeping = launch { session.sync().now(SyncOptions(keepUp = true)) }
                withTimeout(20_000) { session.sync().states().first { it.synced } }
                session.household("东里2号")
                session.sync().notifyConnectivity(Network.FREE)
                withTimeout(20_000) { session.sync().states().first { it.synced && it.waiting == 0UL } }
                keeping.cancelAndJoin()
                session.household("东里3号")
                assertEquals(1UL, session.sync().status().waiting)
                assertTrue(session.sync().now().complete)
                session.lock()
            }
        }

    @Test
    fun `two phones settle what both wrote`() =
        runBlocking {
            Handset().use { first ->
                Handset().use { second ->
                    val one = first.enrolled(station, "冲突甲")
                    val two = second.enrolled(station, "冲突乙")
                    val home = one.household("解放路3号")
                    one.sync().now()
                    two.sync().now()
                    one.records().edit(home, edit("address" to text("解放路3号院")), null)
                    two.records().edit(home, edit("address" to text("解放路三号")), null)
                    one.sync().now()
                    two.sync().now()
                    val conflict = two.conflicts().all().single()
                    assertEquals(home to "fields/address", conflict.record to conflict.path)
                    assertEquals(setOf("冲突甲", "冲突乙"), conflict.claims.map { it.by.name }.toSet())
                    val version = two.records().get(home).row.version
                    two.conflicts().settle(home, conflict.path, text("解放路3号院"), version)
                    two.sync().now()
                    one.sync().now()
                    assertEquals(text("解放路3号院"), one.records().get(home).facts.fields["address"])
                    assertTrue(one.conflicts().all().isEmpty())
                    one.lock()
                    two.lock()
                }
            }
        }

    @Test
    fun `a station with sample data gives a phone something to show`() =
        runBlocking {
            Station().use { station ->
                station.sampleData(households = 7)
                Handset().use { handset ->
                    val session = handset.enrolled(station, "新人甲")
                    assertEquals(7, session.records().page(RecordFilter(kind = "household")).rows.size)
                    assertEquals(1, session.records().nearby("household", "geo:39.9702,116.4402", 5.0, 5u).size)
                    session.lock()
                }
            }
        }

    @Test
    fun `flows end when the session is locked`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "锁流甲")
                val pages = async(start = CoroutineStart.UNDISPATCHED) { session.records().pages(RecordFilter()).toList() }
                val states = async(start = CoroutineStart.UNDISPATCHED) { session.sync().states().toList() }
                val news = async(start = CoroutineStart.UNDISPATCHED) { session.sync().news().toList() }
                session.records().pages(RecordFilter()).first()
                session.lock()
                withTimeout(20_000) {
                    assertTrue(pages.await().isNotEmpty())
                    states.await()
                    assertTrue(news.await().isEmpty())
                }
            }
        }

    @Test
    fun `a sync that keeps up tells what it brings`() =
        runBlocking {
            Handset().use { first ->
                Handset().use { second ->
                    val one = first.enrolled(station, "新闻甲")
                    val two = second.enrolled(station, "新闻乙")
                    val heard = async(start = CoroutineStart.UNDISPATCHED) {
                        one.sync().news().first { news -> news.any { it.code == "records_changed" && it.records.size == 1 } }
                    }
                    val keeping = launch { one.sync().now(SyncOptions(keepUp = true)) }
                    withTimeout(20_000) { one.sync().states().first { it.synced } }
                    val home = two.household("新闻里1号")
                    assertTrue(two.sync().now().complete)
                    val news = withTimeout(30_000) { heard.await() }
                    assertEquals(listOf(home), news.single { it.code == "records_changed" }.records)
                    keeping.cancelAndJoin()
                    one.lock()
                    two.lock()
                }
            }
        }

    @Test
    fun `people and units can be chosen from and an act's form says what it asks for`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "名册甲")
                val me = session.people().single { it.isMe }
                assertEquals("名册甲" to listOf("officer"), me.name to me.roles)
                assertTrue(session.people().any { "chief" in it.roles && !it.isMe })
                val unit = session.units().single { it.id == me.unit }
                assertTrue(unit.isMine && !unit.isClosed)
                val records = session.records()
                val first = session.household("名册里1号")
                val kind = records.kinds().single { it.code == "household" }
                val merge = kind.acts.single { it.code == "merge_into" }
                assertTrue(merge.fields.single { it.code == "target" }.isRequired)
                val version = records.get(first).row.version
                val empty = records.validateAct(first, Act("merge_into", version, null, emptyMap()))
                assertTrue(empty.fields.getValue("target").isRequired)
                assertTrue(empty.findings.any { it.hinders && it.path == "values/target" && it.code == "required" })
                val wrong = mapOf("tagret" to text(first))
                val refused =
                    assertThrows<BeatbookException.InvalidInput> {
                        runBlocking { records.validateAct(first, Act("merge_into", version, null, wrong)) }
                    }
                assertEquals("values/tagret", refused.field)
                session.lock()
            }
        }

    @Test
    fun `an item's fields say what they ask for where they stand`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "条目甲")
                val records = session.records()
                val list = records.kinds().single { it.code == "household" }.fields.first { it.sort == FieldSort.ITEMS }
                val required = list.itemFields.first { it.isRequired }
                val draft = records.draft("household", null)
                val item = ItemEdit(list.code, null, emptyMap(), null)
                val saved = records.save(draft.copy(edit = draft.edit.copy(items = listOf(item))))
                val name = saved.edit.items.single().item
                val form = records.validate(saved)
                val place = "lists/${list.code}/$name/${required.code}"
                assertTrue(form.items.getValue(place).let { it.isRelevant && it.isRequired })
                session.lock()
            }
        }

    @Test
    fun `a library that does not fit is an error of its own`() {
        assertEquals(version(), loadLibrary())
        val java = ProcessHandle.current().info().command().get()
        val nowhere = "-Duniffi.component.beatbook_ffi.libraryOverride=/nonexistent/libbeatbook_ffi.so"
        val classes = System.getProperty("java.class.path")
        val program =
            ProcessBuilder(java, nowhere, "-cp", classes, "org.beatbook.LibraryProgram").redirectErrorStream(true).start()
        assertEquals("LibraryException", program.inputStream.bufferedReader().readText().trim())
    }

    @Test
    fun `errors say what an app can do`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "错误甲")
                assertEquals(
                    "record",
                    assertThrows<BeatbookException.InvalidInput> { runBlocking { session.records().get("no id") } }.field,
                )
                assertEquals(
                    "limit",
                    assertThrows<BeatbookException.InvalidInput> { runBlocking { session.records().search("x", 0u) } }.field,
                )
                session.lock()
                assertThrows<BeatbookException.Locked> { runBlocking { session.records().kinds() } }
                val book = handset.open()
                val user = book.users().single().user
                assertThrows<BeatbookException.InvalidInput> { runBlocking { book.unlock(user, "000001") } }
                assertEquals(9u, book.lockState(user).triesLeft)
            }
        }

    @Test
    fun `a keystore of the app that fails is an error and one that throws anything else is too`() =
        runBlocking {
            Handset().use { handset ->
                val vault = Moody(softwareVault(handset.folder.resolve("vault").path))
                val book = handset.open(vault)
                val session = book.addUser("钥匙甲", PIN)
                val user = book.users().single().user
                session.lock()
                vault.mood = { throw KeyVaultException.Denied() }
                assertThrows<BeatbookException.Locked> { runBlocking { book.unlock(user, PIN) } }
                vault.mood = { throw IllegalStateException("the chip is on fire") }
                assertThrows<BeatbookException.Internal> { runBlocking { book.unlock(user, PIN) } }
                vault.mood = {}
                book.unlock(user, PIN).lock()
            }
        }

    @Test
    fun `listeners are told on other threads than the caller's and hold none of them up`() =
        runBlocking {
            Handset().use { handset ->
                val session = handset.enrolled(station, "线程甲")
                val caller = Thread.currentThread()
                val threads = mutableSetOf<Thread>()
                val subscription =
                    session.records().observe(
                        RecordFilter(mine = true),
                        object : RecordsListener {
                            override fun onPage(page: RecordPage) {
                                synchronized(threads) { threads.add(Thread.currentThread()) }
                                Thread.sleep(500)
                            }
                        },
                    )
                repeat(5) { session.household("北里${it}号") }
                delay(200)
                subscription.cancel()
                assertTrue(synchronized(threads) { threads.isNotEmpty() })
                assertFalse(caller in synchronized(threads) { threads.toSet() })
                withTimeout(10_000) { session.lock() }
            }
        }

    private class Moody(private val inner: KeyVault) : KeyVault {
        @Volatile var mood: () -> Unit = {}

        override fun wrap(key: String, gate: KeyGate, bytes: ByteArray): ByteArray = inner.wrap(key, gate, bytes)

        override fun release(key: String, wrapped: ByteArray): ByteArray {
            mood()
            return inner.release(key, wrapped)
        }

        override fun forget(key: String) = inner.forget(key)

        override fun keepsApart(): Boolean = inner.keepsApart()
    }

    companion object {
        private lateinit var station: Station

        @BeforeAll
        @JvmStatic
        fun start() {
            station = Station()
        }

        @AfterAll
        @JvmStatic
        fun stop() {
            station.close()
        }

        fun point(n: Int) =
            TrackPoint(
                at = 1_700_000_000_000 + 1000L * n,
                lat = 39.97 + n * 2e-5,
                lon = 116.44,
                accuracyM = 8.0,
                source = PointSource.GPS,
            )
    }
}
