// A station for an app's own tests: the real `beatbook-server` program on this machine, with a chief, and whoever is invited. It is found by
// BEATBOOK_SERVER or on the PATH, and keeps everything in one folder, which goes with it.

package org.beatbook.testing

import org.beatbook.Beatbook
import org.beatbook.Config
import org.beatbook.EnrolOrder
import org.beatbook.Platform
import org.beatbook.Session
import org.beatbook.edit
import org.beatbook.now
import org.beatbook.softwareVault
import org.beatbook.text
import java.io.File
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.file.Files
import java.util.concurrent.TimeUnit

class StationMissing : Exception("beatbook-server is neither named by BEATBOOK_SERVER nor on the PATH")

class Station : AutoCloseable {
    private val root = Files.createTempDirectory("beatbook-station-").toFile()
    private val program = program()
    private val places = listOf("--data", File(root, "data").path, "--keys", File(root, "keys").path)
    private val token: String
    private var process: Process? = null
    private val client = HttpClient.newBuilder().proxy(HttpClient.Builder.NO_PROXY).build()

    var url: String = ""
        private set

    init {
        val who = listOf("--station", "测试派出所", "--unit", "测试社区", "--chief", "测试所长")
        val init = ProcessBuilder(listOf(program, "init") + places + who).redirectErrorStream(true).start()
        val said = init.inputStream.bufferedReader().readText()
        check(init.waitFor() == 0) { said }
        token = said.lines().first { "token:" in it }.substringAfter("token:").trim()
        start()
    }

    /** Serves, at the address of before if there was one. */
    fun start() {
        val addressFile = File(root, "address").also { it.delete() }
        val listen = url.removePrefix("http://").ifEmpty { "127.0.0.1:0" }
        val log = File(root, "log")
        val serving =
            ProcessBuilder(listOf(program, "serve", "--listen", listen, "--address-file", addressFile.path) + places)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log))
                .redirectError(ProcessBuilder.Redirect.appendTo(log))
                .start()
        process = serving
        val until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60)
        while (!(addressFile.exists() && addressFile.readText().endsWith("\n"))) {
            check(serving.isAlive && System.nanoTime() < until) { "the station did not start:\n" + log.readText() }
            Thread.sleep(20)
        }
        url = addressFile.readText().trim()
    }

    /** Goes off the network. */
    fun stop() {
        process?.destroy()
        process?.waitFor(30, TimeUnit.SECONDS)
        process = null
    }

    /** Asks as the chief; gives the body. */
    fun call(method: String, path: String, body: String? = null): String {
        val content = body?.let { HttpRequest.BodyPublishers.ofString(it) } ?: HttpRequest.BodyPublishers.noBody()
        val request =
            HttpRequest.newBuilder(URI.create(url + path))
                .method(method, content)
                .header("Authorization", "Bearer $token")
                .header("Content-Type", "application/json")
                .build()
        val reply = client.send(request, HttpResponse.BodyHandlers.ofString())
        check(reply.statusCode() in 200..299) { "$method $path: ${reply.statusCode()} ${reply.body()}" }
        return reply.body()
    }

    /** Adds a person, and gives the invitation that the chief's screen would show his phone. */
    fun invite(name: String, role: String = "officer"): String {
        val user = named("user", call("POST", "/api/v1/users", """{"name":"$name","roles":["$role"]}"""))
        return named("invitation", call("POST", "/api/v1/users/$user/enrolment-code", "{}"))
    }

    /** Fills the station with households and a visit to each, written by a colleague's phone: something to list, search and sync. */
    suspend fun sampleData(households: Int = 20) {
        val folder = File(root, "colleague")
        val platform = Platform(softwareVault(File(folder, "vault").path), null, null)
        val session = Beatbook.open(Config(File(folder, "books").path, "sample"), platform).addUser("样例", "518264")
        session.enrol(EnrolOrder(invite("样例", "grid_worker"), url, null))
        for (number in 1..households) {
            val place = "geo:%.6f,%.6f".format(java.util.Locale.ROOT, 39.97 + number * 2e-4, 116.44 + number * 2e-4)
            val home = written(session, "household", "address" to "样例路${number}号", "place" to place)
            written(session, "visit", "household" to home, "outcome" to "done")
        }
        val outcome = session.sync().now()
        session.lock()
        check(outcome.complete) { "the sample did not reach the station: ${outcome.trouble}" }
    }

    private suspend fun written(session: Session, kind: String, vararg fields: Pair<String, String>): String {
        val records = session.records()
        val edited = edit(*fields.map { (code, value) -> code to text(value) }.toTypedArray())
        return records.submit(records.save(records.draft(kind, null).copy(edit = edited)).id, null).record
    }

    override fun close() {
        stop()
        root.deleteRecursively()
    }

    private companion object {
        fun program(): String {
            System.getenv("BEATBOOK_SERVER")?.let { if (File(it).exists()) return it }
            val folders = System.getenv("PATH").orEmpty().split(File.pathSeparator)
            return folders.map { File(it, "beatbook-server") }.firstOrNull { it.canExecute() }?.path ?: throw StationMissing()
        }

        /** A text of an answer that holds no escapes. */
        fun named(name: String, json: String): String =
            Regex("\"$name\"\\s*:\\s*\"([^\"\\\\]*)\"").find(json)?.groupValues?.get(1) ?: error("no $name in $json")
    }
}
