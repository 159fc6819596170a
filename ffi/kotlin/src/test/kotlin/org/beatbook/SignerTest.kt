// A key of a book in the phone's hardware: here the JVM's own P-256, whose signatures are DER, as Android's are.

package org.beatbook

import kotlinx.coroutines.runBlocking
import org.beatbook.testing.Station
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.File
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec

private class Chip : Signer {
    val keys = mutableMapOf<String, KeyPair>()
    var signed = 0

    @Volatile var isAway = false

    override fun create(handle: String): ByteArray {
        check(handle !in keys)
        val generator = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }
        keys[handle] = generator.generateKeyPair()
        return publicKey(handle)
    }

    override fun publicKey(handle: String): ByteArray {
        val point = (keys[handle] ?: throw KeyVaultException.Gone()).public.let { (it as ECPublicKey).w }
        return byteArrayOf(4) + point.affineX.fixed() + point.affineY.fixed()
    }

    override fun sign(handle: String, bytes: ByteArray): ByteArray {
        if (isAway) throw KeyVaultException.Denied()
        signed++
        return Signature.getInstance("SHA256withECDSA").run {
            initSign((keys[handle] ?: throw KeyVaultException.Gone()).private)
            update(bytes)
            sign()
        }
    }

    override fun forget(handle: String) {
        keys.remove(handle)
    }

    private fun java.math.BigInteger.fixed(): ByteArray {
        val bytes = toByteArray().dropWhile { it == 0.toByte() }.toByteArray()
        return ByteArray(32 - bytes.size) + bytes
    }
}

class SignerTest {
    @Test
    fun `a book whose key the hardware holds is enrolled and signs through it alone`() =
        runBlocking {
            Station().use { station ->
                Handset().use { handset ->
                    val chip = Chip()
                    val platform = Platform(softwareVault(File(handset.folder, "vault").path), chip, null)
                    val config = Config(File(handset.folder, "books").path, "phone with a chip")
                    val book = Beatbook.open(config, platform)
                    val session = book.addUser("芯片", PIN)
                    session.enrol(EnrolOrder(station.invite("芯片"), station.url, null))
                    assertEquals(1, chip.keys.size)
                    session.household("芯片路1号")
                    val before = chip.signed
                    assertTrue(session.sync().now().complete)
                    assertTrue(chip.signed > before)
                    chip.isAway = true
                    session.household("芯片路2号")
                    assertThrows<BeatbookException.Locked> { runBlocking { session.sync().now() } }
                    chip.isAway = false
                    assertTrue(session.sync().now().complete)
                    session.lock()
                    // Without the hardware the book's key is gone: what waits is kept, and the phone is to be enrolled again.
                    val bare = Beatbook.open(config, Platform(softwareVault(File(handset.folder, "vault").path), null, null))
                    val again = bare.unlock(bare.users().single().user, PIN)
                    again.household("芯片路3号")
                    assertThrows<BeatbookException.SignInAgain> { runBlocking { again.sync().now() } }
                    assertEquals(1UL, again.sync().status().waiting)
                    again.lock()
                }
            }
        }
}
