// A day with Beatbook, as an app developer would write it: a patrol from a GPX file, a visit drawn from its form, a photo, a sync, a conflict.
//
//     Day --folder FOLDER --name NAME --pin PIN [--invitation TEXT --station URL [--trust TEXT]]
//         [--gpx FILE] [--visit ADDRESS --answers CODE=VALUE,... [--photo FILE]] [--correct ADDRESS] [--no-sync]
//
// The first run enrols by the invitation that the chief's screen shows; later ones unlock by the PIN. Everything but the sync works without a
// network. The last line is what came of it, as NAME=VALUE.

package org.beatbook.examples

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.beatbook.Beatbook
import org.beatbook.Config
import org.beatbook.Draft
import org.beatbook.EnrolOrder
import org.beatbook.FieldForm
import org.beatbook.FieldSort
import org.beatbook.FieldValue
import org.beatbook.Network
import org.beatbook.PhotoSource
import org.beatbook.Platform
import org.beatbook.RecordFilter
import org.beatbook.Records
import org.beatbook.Session
import org.beatbook.edit
import org.beatbook.gpxPoints
import org.beatbook.now
import org.beatbook.softwareVault
import org.beatbook.states
import org.beatbook.text
import java.io.File

/** Opens the phone, and lets the user in: by his PIN, or by enrolling. */
suspend fun enter(given: Map<String, String>): Session {
    val folder = given.getValue("folder")
    // A phone brings its keystore here; a desktop has a file.
    val platform = Platform(softwareVault(File(folder, "vault").path), null, null)
    val book = Beatbook.open(Config(File(folder, "books").path, "Kotlin"), platform)
    val (name, pin) = given.getValue("name") to given.getValue("pin")
    val known = book.users().find { it.label == name }
    val session = if (known == null) book.addUser(name, pin) else book.unlock(known.user, pin)
    // He may be known and not enrolled: the run before ended between the two.
    if (session.state().isEnrolled) return session
    val enrolled = session.enrol(EnrolOrder(given.getValue("invitation"), given["station"], given["trust"]))
    println("enrolled at ${enrolled.station} as ${enrolled.userName}")
    // The first sync also lets the station help this user in, should he forget his PIN.
    sync(session)
    return session
}

/** Records a patrol. A phone hands over what its receiver says, some seconds' worth at a time. */
suspend fun patrol(session: Session, gpx: String): String {
    val patrols = session.patrols()
    if (patrols.active() == null) patrols.start(edit())
    val points = gpxPoints(gpx)
    points.chunked(500).forEach { patrols.addPoints(it) }
    println("patrol: ${points.size} points, ${patrols.active()?.counts?.kept} kept so far")
    return patrols.finish(edit())
}

/** What somebody typed, as the field's control gives it. */
fun typed(field: FieldForm, answer: String): FieldValue =
    when (field.sort) {
        FieldSort.YES_NO -> FieldValue.YesNo(answer == "true")
        FieldSort.INTEGER, FieldSort.TIME -> FieldValue.Number(answer.toLong())
        FieldSort.DECIMAL -> FieldValue.Decimal(answer.toDouble())
        else -> FieldValue.Text(answer)
    }

/** Draws the form of any kind, and types the answers in: what is shown follows what was typed before. */
suspend fun fill(records: Records, begun: Draft, answers: Map<String, String>): Draft {
    var draft = begun
    for (field in records.kinds().first { it.code == draft.kind }.fields) {
        val now = records.validate(draft).fields.getValue(field.code)
        val answer = answers[field.code]
        if (!now.isRelevant || answer == null) continue
        val edited =
            if (field.sort == FieldSort.NOTE) {
                draft.edit.copy(notes = draft.edit.notes + (field.code to answer))
            } else {
                draft.edit.copy(fields = draft.edit.fields + (field.code to typed(field, answer)))
            }
        draft = draft.copy(edit = edited)
        println("  ${if (now.isRequired) "*" else " "} ${field.label.zh} ${field.label.en}: $answer")
    }
    // On the disk: a crash from here on loses nothing.
    return records.save(draft)
}

/** The household of an address: the one that is known, or a new one. */
suspend fun household(session: Session, address: String): String {
    val records = session.records()
    records.search(address, 10u).find { it.kind == "household" }?.let { return it.record }
    val draft = fill(records, records.draft("household", null), mapOf("address" to address))
    return records.submit(draft.id, null).record
}

suspend fun visit(session: Session, address: String, answers: Map<String, String>, photo: String?): String {
    val records = session.records()
    val home = household(session, address)
    val draft = fill(records, records.draft("visit", null), mapOf("household" to home) + answers)
    val done = records.submit(draft.id, "finish")
    done.findings.forEach { println("  ! ${it.path}: ${it.text.zh} ${it.text.en}") }
    if (photo != null) {
        val mediaType = if (photo.endsWith(".png")) "image/png" else "image/jpeg"
        session.photos().attach(done.record, "photos", mediaType, PhotoSource.Path(photo))
    }
    println("visit: ${done.state}")
    return done.record
}

/** Syncs, and shows what still waits while it does. */
suspend fun sync(session: Session) =
    coroutineScope {
        val showing = progress(session)
        session.sync().notifyConnectivity(Network.FREE)
        val outcome = session.sync().now()
        showing.cancel()
        outcome.trouble?.let { println("sync: ${it.text}") }
    }

private fun CoroutineScope.progress(session: Session) =
    launch {
        session.sync().states().collect { println("  ${it.waiting} wait, ${it.photosWaiting} photos wait") }
    }

/** Settles each conflict for the value that was written last. An app shows both, and lets the user choose. */
suspend fun settle(session: Session): Int {
    val conflicts = session.conflicts().all()
    for (conflict in conflicts) {
        val chosen = conflict.claims.maxWith(compareBy({ it.at }, { it.by.name }))
        val version = session.records().get(conflict.record).row.version
        session.conflicts().settle(conflict.record, conflict.path, chosen.value, version)
        println("settled ${conflict.path}: ${chosen.by.name}")
    }
    return conflicts.size
}

suspend fun day(given: Map<String, String>): Map<String, Any> {
    val session = enter(given)
    given["gpx"]?.let { patrol(session, it) }
    given["visit"]?.let { address ->
        val answers = given["answers"].orEmpty().split(",").filter { "=" in it }
        visit(session, address, answers.associate { it.substringBefore("=") to it.substringAfter("=") }, given["photo"])
    }
    given["correct"]?.let { address ->
        val home = session.records().page(RecordFilter(kind = "household")).rows.first().record
        session.records().edit(home, edit("address" to text(address)), null)
    }
    var settled = 0
    if ("no-sync" !in given) {
        sync(session)
        settled = settle(session)
        sync(session)
    }
    val status = session.sync().status()
    val homes = session.records().page(RecordFilter(kind = "household")).rows
    session.lock()
    return mapOf(
        "settled" to settled,
        "waiting" to status.waiting,
        "synced" to status.synced,
        "conflicts" to status.conflicts,
        "photos_waiting" to status.photosWaiting,
        "households" to homes.map { (it.fields["address"] as? FieldValue.Text)?.value },
    )
}

fun main(arguments: Array<String>) {
    val given = mutableMapOf<String, String>()
    val words = arguments.iterator()
    while (words.hasNext()) {
        val name = words.next().removePrefix("--")
        given[name] = if (name == "no-sync") "" else words.next()
    }
    println(runBlocking { day(given) }.entries.joinToString(" ") { "${it.key}=${it.value}" })
}
