// The iPhone's keystore: keys in the Keychain of this device alone, and the book's own key in the Secure Enclave. never built here

#if canImport(Security) && canImport(CryptoKit) && (os(iOS) || os(macOS))
import BeatbookCore
import CryptoKit
import Foundation
import LocalAuthentication
import Security

/// Wraps under AES-GCM keys that the Keychain keeps for this device alone, in no backup. A key of gate `biometric` is given out by the system after a
/// finger or a face, and is gone for good when those that the phone knows change.
public final class KeychainVault: KeyVault, @unchecked Sendable {
    private let service: String
    private let prompt: String

    /// `service` names the app's keys in the Keychain; `prompt` is what the system says when it asks for a finger or a face.
    public init(service: String, prompt: String) {
        self.service = service
        self.prompt = prompt
    }

    public func wrap(key: String, gate: KeyGate, bytes: Data) throws -> Data {
        let secret: SymmetricKey
        do {
            secret = try read(key)
        } catch KeyVaultError.Gone {
            secret = try make(key, gate)
        }
        do {
            guard let sealed = try AES.GCM.seal(bytes, using: secret, authenticating: Data(key.utf8)).combined else {
                throw KeyVaultError.Failed(report: "AES-GCM gave nothing")
            }
            return sealed
        } catch let fault as CryptoKitError {
            throw KeyVaultError.Failed(report: "\(fault)")
        }
    }

    public func release(key: String, wrapped: Data) throws -> Data {
        let secret = try read(key)
        do {
            return try AES.GCM.open(AES.GCM.SealedBox(combined: wrapped), using: secret, authenticating: Data(key.utf8))
        } catch is CryptoKitError {
            throw KeyVaultError.Broken
        }
    }

    public func forget(key: String) throws {
        let status = SecItemDelete(item(key) as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw fault(status) }
    }

    public func keepsApart() throws -> Bool { true }

    private func item(_ key: String) -> [CFString: Any] {
        [
            kSecClass: kSecClassGenericPassword,
            kSecAttrService: service,
            kSecAttrAccount: key,
            kSecUseDataProtectionKeychain: true,
        ]
    }

    private func read(_ key: String) throws -> SymmetricKey {
        let context = LAContext()
        context.localizedReason = prompt
        var asked = item(key)
        asked[kSecReturnData] = true
        asked[kSecUseAuthenticationContext] = context
        var found: CFTypeRef?
        let status = SecItemCopyMatching(asked as CFDictionary, &found)
        guard status == errSecSuccess, let bytes = found as? Data else { throw fault(status) }
        return SymmetricKey(data: bytes)
    }

    private func make(_ key: String, _ gate: KeyGate) throws -> SymmetricKey {
        let secret = SymmetricKey(size: .bits256)
        var made = item(key)
        made[kSecValueData] = secret.withUnsafeBytes { Data($0) }
        switch gate {
        case .open:
            // An emergency note is signed, and a sync runs, while the screen is locked.
            made[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        case .biometric:
            guard LAContext().canEvaluatePolicy(.deviceOwnerAuthenticationWithBiometrics, error: nil) else {
                throw KeyVaultError.Unsupported
            }
            made[kSecAttrAccessControl] = SecAccessControlCreateWithFlags(
                nil, kSecAttrAccessibleWhenUnlockedThisDeviceOnly, .biometryCurrentSet, nil)
        }
        let status = SecItemAdd(made as CFDictionary, nil)
        guard status == errSecSuccess else { throw fault(status) }
        return secret
    }
}

/// The book's own key in the Secure Enclave: made there, and never out of it.
public final class SecureEnclaveSigner: Signer, @unchecked Sendable {
    private let service: String

    /// `service` names the app's keys.
    public init(service: String) {
        self.service = service
    }

    public func create(handle: String) throws -> Data {
        let access = SecAccessControlCreateWithFlags(
            nil, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, .privateKeyUsage, nil)
        let wanted: [CFString: Any] = [
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeySizeInBits: 256,
            kSecAttrTokenID: kSecAttrTokenIDSecureEnclave,
            kSecPrivateKeyAttrs: [
                kSecAttrIsPermanent: true,
                kSecAttrApplicationTag: tag(handle),
                kSecAttrAccessControl: access as Any,
            ],
        ]
        var error: Unmanaged<CFError>?
        guard let key = SecKeyCreateRandomKey(wanted as CFDictionary, &error) else { throw failed(error) }
        return try publicKey(of: key)
    }

    public func publicKey(handle: String) throws -> Data {
        try publicKey(of: key(handle))
    }

    public func sign(handle: String, bytes: Data) throws -> Data {
        var error: Unmanaged<CFError>?
        let signature = SecKeyCreateSignature(
            try key(handle), .ecdsaSignatureMessageX962SHA256, bytes as CFData, &error)
        guard let signature else { throw failed(error) }
        return signature as Data
    }

    public func forget(handle: String) throws {
        let status = SecItemDelete(item(handle) as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw fault(status) }
    }

    private func tag(_ handle: String) -> Data { Data("\(service).\(handle)".utf8) }

    private func item(_ handle: String) -> [CFString: Any] {
        [
            kSecClass: kSecClassKey,
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrApplicationTag: tag(handle),
            kSecUseDataProtectionKeychain: true,
        ]
    }

    private func key(_ handle: String) throws -> SecKey {
        var asked = item(handle)
        asked[kSecReturnRef] = true
        var found: CFTypeRef?
        let status = SecItemCopyMatching(asked as CFDictionary, &found)
        guard status == errSecSuccess, let found else { throw fault(status) }
        // The query asks for keys alone.
        return found as! SecKey
    }

    private func publicKey(of key: SecKey) throws -> Data {
        var error: Unmanaged<CFError>?
        guard let shown = SecKeyCopyPublicKey(key), let bytes = SecKeyCopyExternalRepresentation(shown, &error) else {
            throw failed(error)
        }
        return bytes as Data
    }

    private func failed(_ error: Unmanaged<CFError>?) -> KeyVaultError {
        .Failed(report: error.map { "\($0.takeRetainedValue())" } ?? "the Secure Enclave gave no reason")
    }
}

/// What a status of the Keychain means to the core.
private func fault(_ status: OSStatus) -> KeyVaultError {
    switch status {
    case errSecItemNotFound: .Gone
    case errSecUserCanceled, errSecAuthFailed, errSecInteractionNotAllowed: .Denied
    default: .Failed(report: "the Keychain gives \(status)")
    }
}
#endif
