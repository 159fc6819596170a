// The examples in Kotlin and Python as separate processes on one real station: each records a day offline, and they merge with each other.

package org.beatbook

import org.beatbook.testing.Station
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import java.io.File
import java.nio.file.Files
import java.util.Base64

class ExamplesTest {
    private val root = Files.createTempDirectory("beatbook-examples-").toFile()

    private fun run(vararg command: String): String {
        val process = ProcessBuilder(*command).redirectErrorStream(true).start()
        val said = process.inputStream.bufferedReader().readText()
        assertEquals(0, process.waitFor(), said)
        return said.trim().lines().last()
    }

    private fun kotlin(vararg given: String): Map<String, String> {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val phone = arrayOf("--folder", File(root, "kotlin").path, "--name", "张网格", "--pin", "518264")
        val said = run(java, "-cp", System.getProperty("java.class.path"), "org.beatbook.examples.DayKt", *phone, *given)
        return said.split(" ").filter { "=" in it }.associate { it.substringBefore("=") to it.substringAfter("=") }
    }

    private fun python(vararg given: String): String {
        val package_ = System.getenv("PYTHONPATH").split(File.pathSeparator).first()
        val phone = arrayOf("--folder", File(root, "python").path, "--name", "李警官", "--pin", "640371")
        return run(System.getenv("BEATBOOK_PYTHON"), File(package_, "examples/day.py").path, *phone, *given)
    }

    private fun walk(): String {
        val points =
            (0 until 300).joinToString("") {
                val time = java.time.Instant.ofEpochSecond(1_700_000_000L + it)
                """<trkpt lat="${39.97 + it * 2e-5}" lon="116.44"><time>$time</time></trkpt>"""
            }
        val gpx = File(root, "walk.gpx")
        gpx.writeText("""<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>$points</trkseg></trk></gpx>""")
        return gpx.path
    }

    private fun photo(): String {
        val pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        return File(root, "door.png").also { it.writeBytes(Base64.getDecoder().decode(pixel)) }.path
    }

    @Test
    fun `a day in Kotlin and one in Python merge`() {
        assumeTrue(System.getenv("BEATBOOK_PYTHON") != null, "the Python package is not here")
        Station().use { station ->
            val answers = File(root, "answers.json").also { it.writeText("""{"outcome": "done", "duration_min": 12}""") }
            val first =
                python(
                    "--invitation", station.invite("李警官"), "--station", station.url, "--gpx", walk(),
                    "--visit", "幸福里7号楼", "--answers", answers.path, "--photo", photo(),
                )
            assertTrue("\"synced\": true" in first && "幸福里7号楼" in first, first)
            // In Kotlin the household of before is found, and its address corrected offline; meanwhile in Python too.
            val enrolled = kotlin("--invitation", station.invite("张网格", "grid_worker"), "--station", station.url)
            assertEquals("true", enrolled["synced"])
            val offline =
                kotlin(
                    "--gpx", walk(), "--visit", "幸福里7号楼", "--answers", "outcome=done,duration_min=5", "--photo", photo(),
                    "--correct", "幸福里7号楼2单元", "--no-sync",
                )
            assertTrue(offline.getValue("waiting").toInt() > 3 && offline["synced"] == "false", "$offline")
            python("--correct", "幸福里七号楼")
            val merged = kotlin()
            assertEquals(listOf("1", "0", "0", "true", "0"), listOf("settled", "waiting", "conflicts", "synced", "photos_waiting").map { merged[it] })
            val last = python()
            assertTrue("\"conflicts\": 0" in last && "\"synced\": true" in last, last)
            // One household, and on both phones the same address.
            val address = merged.getValue("households").removeSurrounding("[", "]")
            assertTrue("\"households\": [\"$address\"]" in last, "$merged\n$last")
        }
        root.deleteRecursively()
    }
}
