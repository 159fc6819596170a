// The core's keys under keys of Android Keystore, which never leave it; never built here (type-checked by check/pom.xml).

package org.beatbook.android

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import android.security.keystore.UserNotAuthenticatedException
import org.beatbook.KeyGate
import org.beatbook.KeyVault
import org.beatbook.KeyVaultException
import java.security.GeneralSecurityException
import java.security.InvalidAlgorithmParameterException
import java.security.KeyStore
import java.security.ProviderException
import java.security.UnrecoverableKeyException
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.IllegalBlockSizeException
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Wraps with AES-256-GCM; a key's gate is its own, and Android holds to it. [ask] shows the prompt for keys behind finger or face; without one
 * this phone has no such gate.
 *
 * Wrapped bytes are: format 1, length of the nonce, nonce, ciphertext with tag.
 */
class KeystoreVault(context: Context, private val ask: BiometricAsk? = null) : KeyVault {
    private val features = context.applicationContext.packageManager
    private val store = KeyStore.getInstance(STORE).apply { load(null) }

    override fun wrap(key: String, gate: KeyGate, bytes: ByteArray): ByteArray =
        judged {
            val secret = stored(key) ?: made(key, gate)
            val cipher = Cipher.getInstance(CIPHER)
            // Keystore chooses the nonce itself, and refuses one that is given to it.
            cipher.init(Cipher.ENCRYPT_MODE, secret)
            val sealed = allowed(cipher, asks(key)).doFinal(bytes)
            byteArrayOf(FORMAT, cipher.iv.size.toByte()) + cipher.iv + sealed
        }

    override fun release(key: String, wrapped: ByteArray): ByteArray =
        judged {
            val secret = stored(key) ?: throw KeyVaultException.Gone()
            val end = 2 + (wrapped.getOrNull(1)?.toInt() ?: 0)
            if (wrapped.firstOrNull() != FORMAT || end !in 14..wrapped.size) throw KeyVaultException.Broken()
            val cipher = Cipher.getInstance(CIPHER)
            cipher.init(Cipher.DECRYPT_MODE, secret, GCMParameterSpec(TAG_BITS, wrapped, 2, end - 2))
            allowed(cipher, asks(key)).doFinal(wrapped, end, wrapped.size - end)
        }

    override fun forget(key: String) =
        judged {
            synchronized(store) {
                for (alias in listOf(OPEN + key, GATED + key)) if (store.containsAlias(alias)) store.deleteEntry(alias)
            }
        }

    /** They are in the system's keystore, and in hardware on nearly every phone: never among the app's files. */
    override fun keepsApart(): Boolean = true

    private fun stored(key: String): SecretKey? =
        synchronized(store) { (store.getKey(OPEN + key, null) ?: store.getKey(GATED + key, null)) as SecretKey? }

    /** The gate is in the alias: how a key was made can be asked of Keystore only by way of a factory that some phones get wrong. */
    private fun asks(key: String): Boolean = synchronized(store) { !store.containsAlias(OPEN + key) }

    private fun made(key: String, gate: KeyGate): SecretKey {
        if (gate == KeyGate.BIOMETRIC && (ask == null || !ask.isThere())) throw KeyVaultException.Unsupported()
        val hasStrongBox = Build.VERSION.SDK_INT >= Build.VERSION_CODES.P && features.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)
        return synchronized(store) {
            try {
                if (hasStrongBox) generated(key, gate, inStrongBox = true) else generated(key, gate, inStrongBox = false)
            } catch (fault: ProviderException) {
                // A StrongBox may be full, or know no such key.
                val isOfStrongBox = hasStrongBox && Build.VERSION.SDK_INT >= Build.VERSION_CODES.P && fault is StrongBoxUnavailableException
                if (isOfStrongBox) generated(key, gate, inStrongBox = false) else throw fault
            }
        }
    }

    private fun generated(key: String, gate: KeyGate, inStrongBox: Boolean): SecretKey {
        val alias = (if (gate == KeyGate.BIOMETRIC) GATED else OPEN) + key
        val spec =
            KeyGenParameterSpec.Builder(alias, KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT)
                .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
                .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
                .setKeySize(256)
        if (gate == KeyGate.BIOMETRIC) {
            // At each use: no time is set for which one showing of a finger would do.
            spec.setUserAuthenticationRequired(true).setInvalidatedByBiometricEnrollment(true)
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
                spec.setUserAuthenticationParameters(0, KeyProperties.AUTH_BIOMETRIC_STRONG)
            }
        }
        if (inStrongBox && Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) spec.setIsStrongBoxBacked(true)
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, STORE)
        try {
            generator.init(spec.build())
            return generator.generateKey()
        } catch (fault: InvalidAlgorithmParameterException) {
            // Android says so when no finger and no face is enrolled.
            if (gate == KeyGate.BIOMETRIC) throw KeyVaultException.Unsupported()
            throw fault
        }
    }

    private fun allowed(cipher: Cipher, asks: Boolean): Cipher =
        if (asks) (ask ?: throw KeyVaultException.Unsupported()).allow(cipher) else cipher

    private fun <T> judged(work: () -> T): T =
        try {
            work()
        } catch (fault: KeyPermanentlyInvalidatedException) {
            throw KeyVaultException.Gone()
        } catch (fault: UserNotAuthenticatedException) {
            throw KeyVaultException.Denied()
        } catch (fault: UnrecoverableKeyException) {
            // Some Androids wrap it so; for any other cause the key may be there again at the next try, and must not be given up.
            throw if (fault.cause is KeyPermanentlyInvalidatedException) KeyVaultException.Gone() else KeyVaultException.Failed(fault.toString())
        } catch (fault: AEADBadTagException) {
            throw KeyVaultException.Broken()
        } catch (fault: IllegalBlockSizeException) {
            // How a cipher says that nobody was asked, or that its key ended between the two.
            throw KeyVaultException.Denied()
        } catch (fault: GeneralSecurityException) {
            throw KeyVaultException.Failed(fault.toString())
        } catch (fault: ProviderException) {
            throw KeyVaultException.Failed(fault.toString())
        }

    private companion object {
        const val STORE = "AndroidKeyStore"
        const val CIPHER = "AES/GCM/NoPadding"
        const val TAG_BITS = 128
        const val FORMAT: Byte = 1
        const val OPEN = "org.beatbook.open."
        const val GATED = "org.beatbook.biometric."
    }
}
