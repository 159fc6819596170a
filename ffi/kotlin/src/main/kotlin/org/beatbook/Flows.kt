// The coroutine layer: what changes as flows, which end with their collector or with the session, and syncs that end with the coroutine
// that waits for them.

package org.beatbook

import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.ProducerScope
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.launch

/** How a list looks: now, and whenever it looks different. A slow collector sees the newest alone. */
fun Records.pages(filter: RecordFilter): Flow<RecordPage> =
    told { scope ->
        observe(
            filter,
            object : RecordsListener {
                override fun onPage(page: RecordPage) {
                    scope.trySend(page)
                }
            },
        )
    }

/** How the patrol stands, `null` when none goes on: now, and whenever that changes. */
fun Patrols.states(): Flow<ActivePatrol?> =
    told { scope ->
        observe(
            object : PatrolListener {
                override fun onPatrol(patrol: ActivePatrol?) {
                    scope.trySend(patrol)
                }
            },
        )
    }

/** Where the book stands with its station: now, while a sync goes on, and whenever that changes. */
fun StationSync.states(): Flow<SyncStatus> =
    told { scope ->
        observe(
            object : SyncListener {
                override fun onStatus(status: SyncStatus) {
                    scope.trySend(status)
                }
            },
        )
    }

/** What syncs bring that an app may want to show, those of a sync that keeps up too: each exchange's news once, in order. */
fun StationSync.news(): Flow<List<SyncNews>> =
    told(Channel.UNLIMITED) { scope ->
        observeNews(
            object : NewsListener {
                override fun onNews(news: List<SyncNews>) {
                    scope.trySend(news)
                }
            },
        )
    }

private fun <T> told(capacity: Int = Channel.CONFLATED, observe: (ProducerScope<T>) -> Subscription): Flow<T> =
    callbackFlow {
        val subscription = observe(this)
        // Once the session is locked nothing is told any more: the flow is over.
        val ending =
            launch {
                subscription.ended()
                close()
            }
        awaitClose {
            ending.cancel()
            subscription.cancel()
            subscription.destroy()
        }
    }.buffer(capacity)

/** Syncs. When the coroutine that waits is cancelled, the sync is too; what was exchanged is kept. */
suspend fun StationSync.now(options: SyncOptions = SyncOptions()): SyncOutcome {
    val run = start(options)
    try {
        return run.finished()
    } finally {
        run.cancel()
        run.destroy()
    }
}

/** A text value. */
fun text(value: String): FieldValue = FieldValue.Text(value)

/** A number, or a time in milliseconds since 1970. */
fun number(value: Long): FieldValue = FieldValue.Number(value)

/** An edit of fields alone. */
fun edit(vararg fields: Pair<String, FieldValue>): RecordEdit = RecordEdit(fields.toMap(), emptyList(), emptyMap())
