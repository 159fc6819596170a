// What Android knows of the network, as the core asks for it and as it changes; never built here (type-checked by check/pom.xml).

package org.beatbook.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.distinctUntilChanged
import org.beatbook.Connectivity
import org.beatbook.Network
import org.beatbook.Session

/** Give it as `Platform.connectivity`, and call [tell] while the session is open. */
class ConnectivityWatch(context: Context) : Connectivity {
    private val manager = checkNotNull(context.applicationContext.getSystemService(ConnectivityManager::class.java))

    override fun network(): Network = judge(manager.getNetworkCapabilities(manager.activeNetwork))

    /** How the network is: now, and whenever it is another. */
    val changes: Flow<Network> =
        callbackFlow {
            val callback =
                object : ConnectivityManager.NetworkCallback() {
                    override fun onCapabilitiesChanged(network: android.net.Network, capabilities: NetworkCapabilities) {
                        trySend(judge(capabilities))
                    }

                    // With its default network gone for another, Android tells of the other instead.
                    override fun onLost(network: android.net.Network) {
                        trySend(Network.OFFLINE)
                    }
                }
            // Android says nothing at first when there is no network at all.
            trySend(network())
            manager.registerDefaultNetworkCallback(callback)
            awaitClose { manager.unregisterNetworkCallback(callback) }
        }.buffer(Channel.CONFLATED).distinctUntilChanged()

    /** Tells a session of each change until cancelled: run it in a scope that ends with the session. */
    suspend fun tell(session: Session) {
        session.sync().use { sync -> changes.collect { sync.notifyConnectivity(it) } }
    }

    // A station may be on a network without the Internet: neither "validated" nor "internet" is asked for, only whether its bytes cost money.
    private fun judge(capabilities: NetworkCapabilities?): Network =
        when {
            capabilities == null -> Network.OFFLINE
            capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_NOT_METERED) -> Network.FREE
            else -> Network.METERED
        }
}
