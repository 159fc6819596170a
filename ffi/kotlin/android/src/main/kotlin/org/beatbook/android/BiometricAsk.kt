// Asks for finger or face before a key is used; never built here (type-checked by check/pom.xml). Android's own prompt, which it has since
// Android 9: older phones have no such gate, and go on with the PIN.

package org.beatbook.android

import android.content.Context
import android.content.pm.PackageManager
import android.hardware.biometrics.BiometricPrompt
import android.os.Build
import android.os.CancellationSignal
import android.os.Looper
import androidx.annotation.RequiresApi
import org.beatbook.KeyVaultException
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ExecutionException
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException
import javax.crypto.Cipher

/** Shows a prompt with these texts, and waits for its answer on the core's thread. The app must be on the screen. */
class BiometricAsk(context: Context, private val title: String, private val usePin: String) {
    private val context = context.applicationContext

    /** Whether this phone can ask at all. */
    fun isThere(): Boolean =
        Build.VERSION.SDK_INT >= Build.VERSION_CODES.P &&
            (FEATURES.any { context.packageManager.hasSystemFeature(it) })

    /** The cipher, once the person was recognised. */
    internal fun allow(cipher: Cipher): Cipher {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.P) throw KeyVaultException.Unsupported()
        // The prompt answers on the main thread: to wait there would be to wait for ever.
        check(Looper.myLooper() != Looper.getMainLooper()) { "a vault is asked from the core's threads alone" }
        val gaveUp = CancellationSignal()
        try {
            return shown(cipher, gaveUp).get(WAIT_SECONDS, TimeUnit.SECONDS)
        } catch (fault: ExecutionException) {
            throw fault.cause ?: fault
        } catch (fault: TimeoutException) {
            gaveUp.cancel()
            throw KeyVaultException.Denied()
        }
    }

    @RequiresApi(Build.VERSION_CODES.P)
    private fun shown(cipher: Cipher, gaveUp: CancellationSignal): CompletableFuture<Cipher> {
        val answer = CompletableFuture<Cipher>()
        val heard =
            object : BiometricPrompt.AuthenticationCallback() {
                override fun onAuthenticationSucceeded(result: BiometricPrompt.AuthenticationResult) {
                    answer.complete(result.cryptoObject?.cipher ?: cipher)
                }

                // A finger that was not recognised may be shown again; only this is the end.
                override fun onAuthenticationError(code: Int, text: CharSequence) {
                    val none = code == BiometricPrompt.BIOMETRIC_ERROR_HW_NOT_PRESENT || code == BiometricPrompt.BIOMETRIC_ERROR_NO_BIOMETRICS
                    answer.completeExceptionally(if (none) KeyVaultException.Unsupported() else KeyVaultException.Denied())
                }
            }
        val onMain = context.mainExecutor
        BiometricPrompt.Builder(context)
            .setTitle(title)
            .setNegativeButton(usePin, onMain) { _, _ -> answer.completeExceptionally(KeyVaultException.Denied()) }
            .build()
            .authenticate(BiometricPrompt.CryptoObject(cipher), gaveUp, onMain, heard)
        return answer
    }

    private companion object {
        const val WAIT_SECONDS = 120L
        // The names of PackageManager for face and iris are newer than the oldest phone here; the features themselves are not.
        val FEATURES = listOf(PackageManager.FEATURE_FINGERPRINT, "android.hardware.biometrics.face", "android.hardware.biometrics.iris")
    }
}
