// Syncs in the background by WorkManager; never built here (type-checked by check/pom.xml). It unlocks nothing: it works on a session that the
// app holds open, and without one it ends at once; the app asks for a sync after each unlocking anyway.

package org.beatbook.android

import android.content.Context
import androidx.work.BackoffPolicy
import androidx.work.Constraints
import androidx.work.CoroutineWorker
import androidx.work.Data
import androidx.work.ExistingPeriodicWorkPolicy
import androidx.work.ExistingWorkPolicy
import androidx.work.NetworkType
import androidx.work.OneTimeWorkRequestBuilder
import androidx.work.PeriodicWorkRequestBuilder
import androidx.work.WorkManager
import androidx.work.WorkerParameters
import androidx.work.workDataOf
import org.beatbook.BeatbookException
import org.beatbook.Session
import org.beatbook.SyncOptions
import org.beatbook.SyncOutcome
import org.beatbook.now
import java.util.concurrent.TimeUnit

/** Implemented by the app's [android.app.Application]. */
interface HoldsSession {
    /** The session that is open now; `null` while the book is locked. */
    val openSession: Session?
}

/** One sync, within the time that Android gives a worker. Its output data says what came of it, under [CODE] and the other names here. */
class BeatbookSyncWorker(context: Context, given: WorkerParameters) : CoroutineWorker(context, given) {
    override suspend fun doWork(): Result {
        val holder =
            applicationContext as? HoldsSession
                ?: return Result.failure(workDataOf(CODE to "not_held", TEXT to "the app's Application implements no HoldsSession"))
        val session = holder.openSession ?: return Result.success(workDataOf(CODE to LOCKED))
        // When Android stops the worker its coroutine is cancelled, and `now` then ends the sync: all that was exchanged is kept.
        return try {
            judge(session.sync().use { it.now(SyncOptions(secondsMax = SECONDS_MAX)) })
        } catch (fault: BeatbookException) {
            judge(fault)
        }
    }

    private fun judge(outcome: SyncOutcome): Result {
        val said = told(outcome)
        return when (outcome.trouble?.code) {
            null -> Result.success(said)
            // Android's time ran out, the network went, or the chief has not confirmed this phone yet: WorkManager waits longer each time.
            "try_later", "budget_used", "awaiting_confirmation" -> Result.retry()
            // The app cancelled it or locked the book: whoever unlocks it syncs.
            "cancelled" -> Result.success(said)
            // A person must act: update, enrol, ask the station. The app reads the code and says so.
            "untrusted", "sign_in_again", "unknown_book", "upgrade_required", "refused", "ended" -> Result.failure(said)
            else -> Result.retry()
        }
    }

    private fun judge(fault: BeatbookException): Result =
        when (fault) {
            is BeatbookException.TryLater -> Result.retry()
            // Space may be freed meanwhile; what was saved is safe.
            is BeatbookException.StorageFull -> Result.retry()
            is BeatbookException.Locked -> Result.success(workDataOf(CODE to LOCKED))
            is BeatbookException.SignInAgain -> Result.failure(workDataOf(CODE to "sign_in_again"))
            is BeatbookException.UpgradeRequired -> Result.failure(workDataOf(CODE to "upgrade_required"))
            is BeatbookException.StorageDamaged -> Result.failure(workDataOf(CODE to "storage_damaged"))
            is BeatbookException.InvalidInput -> Result.failure(workDataOf(CODE to "internal", TEXT to fault.message))
            is BeatbookException.Internal -> Result.failure(workDataOf(CODE to "internal", TEXT to fault.report))
        }

    private fun told(outcome: SyncOutcome): Data =
        workDataOf(
            CODE to (outcome.trouble?.code ?: "synced"),
            // WorkManager refuses data of more than 10 KB.
            TEXT to outcome.trouble?.text?.take(1_000),
            ACCEPTED to outcome.accepted.toLong(),
            RECEIVED to outcome.received.toLong(),
            PARTED to outcome.parted,
        )

    companion object {
        /** `synced`, `locked`, or the code of what kept it from its end. */
        const val CODE = "code"

        /** More about it, for people. */
        const val TEXT = "text"

        /** Own entries that the station took in. */
        const val ACCEPTED = "accepted"

        /** Entries of others that came. */
        const val RECEIVED = "received"

        /** Whether the station put this phone out of use: the session is over. */
        const val PARTED = "parted"

        /** The names under which WorkManager knows this work. */
        const val ONCE = "beatbook-sync"
        const val AGAIN_AND_AGAIN = "beatbook-sync-periodic"

        private const val LOCKED = "locked"

        // Android stops a worker after ten minutes; the last minute is for what was begun.
        private val SECONDS_MAX: UInt = 540u

        /**
         * When there is a network. Android takes only one that reaches the Internet for connected: where the station is on a network of its
         * own, give [once] and [keepUp] constraints with `setRequiredNetworkRequest`.
         */
        val CONNECTED: Constraints = Constraints.Builder().setRequiredNetworkType(NetworkType.CONNECTED).build()

        /** Syncs as soon as there is a network. A sync that waits already is left to it. */
        fun once(context: Context, constraints: Constraints = CONNECTED) {
            val request =
                OneTimeWorkRequestBuilder<BeatbookSyncWorker>()
                    .setConstraints(constraints)
                    .setBackoffCriteria(BackoffPolicy.EXPONENTIAL, 30, TimeUnit.SECONDS)
                    .build()
            WorkManager.getInstance(context).enqueueUniqueWork(ONCE, ExistingWorkPolicy.KEEP, request)
        }

        /** Syncs every so often, at least 15 minutes apart, for as long as the app's process has a session open when its turn comes. */
        fun keepUp(context: Context, minutes: Long = 60, constraints: Constraints = CONNECTED) {
            val request =
                PeriodicWorkRequestBuilder<BeatbookSyncWorker>(minutes, TimeUnit.MINUTES)
                    .setConstraints(constraints)
                    .setBackoffCriteria(BackoffPolicy.EXPONENTIAL, 30, TimeUnit.SECONDS)
                    .build()
            WorkManager.getInstance(context).enqueueUniquePeriodicWork(AGAIN_AND_AGAIN, ExistingPeriodicWorkPolicy.UPDATE, request)
        }

        /** Ends both: after locking for good, or when the phone was put out of use. */
        fun stop(context: Context) {
            WorkManager.getInstance(context).cancelUniqueWork(ONCE)
            WorkManager.getInstance(context).cancelUniqueWork(AGAIN_AND_AGAIN)
        }
    }
}
