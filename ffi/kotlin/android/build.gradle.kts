// The AAR: native libraries, generated bindings, coroutine layer, and what Android needs beside; never built here: it takes the Android SDK.
//
//     ffi/package kotlin target/debug/libbeatbook_ffi.so    writes the generated half (a debug library: a stripped one has no metadata)
//     ffi/kotlin/android/build-native.sh                    builds the native libraries of the same sources
//     gradle -p ffi/kotlin/android assembleRelease          puts build/outputs/aar together

plugins {
    id("com.android.library") version "8.13.2"
    id("org.jetbrains.kotlin.android") version "2.3.21"
}

group = "org.beatbook"
version = rootDir.resolve("../../../Cargo.toml").readLines().first { it.startsWith("version = ") }.substringAfter('"').substringBefore('"')

// Where `ffi/package kotlin` writes what is generated: bindings and libraries must come from one state of the sources.
val made = rootDir.resolve("../../../target/ffi")

android {
    namespace = "org.beatbook.android"
    compileSdk = 35
    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    sourceSets {
        getByName("main") {
            kotlin.srcDir(made.resolve("kotlin/sources"))
            kotlin.srcDir(rootDir.resolve("../src/main/kotlin"))
            // `build-native.sh` writes one folder for each ABI here.
            jniLibs.srcDir(made.resolve("android/jniLibs"))
        }
    }
    packaging {
        // build-native.sh stripped them already, and a phone maps them straight from the APK.
        jniLibs.useLegacyPackaging = false
    }
    publishing {
        singleVariant("release") { withSourcesJar() }
    }
}

kotlin {
    compilerOptions.jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_17)
}

// A station for tests runs a program of the desktop: it is nothing for a phone.
tasks.withType<org.jetbrains.kotlin.gradle.tasks.KotlinCompile>().configureEach {
    exclude("**/testing.kt")
}

tasks.register("nativeLibrariesAreThere") {
    val libraries = listOf("arm64-v8a", "armeabi-v7a", "x86_64").map { made.resolve("android/jniLibs/$it/libbeatbook_ffi.so") }
    doLast {
        val missing = libraries.filterNot { it.isFile }
        check(missing.isEmpty()) { "run build-native.sh first: there is no $missing" }
    }
}

// An AAR without its libraries builds without a word, and crashes on the first call.
tasks.named("preBuild") { dependsOn("nativeLibrariesAreThere") }

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.10.2")
    // The plain jar of JNA has no libraries for Android; 5.18 is aligned to pages of 16 KB.
    implementation("net.java.dev.jna:jna:5.18.1@aar")
    implementation("androidx.annotation:annotation:1.9.1")
    api("androidx.work:work-runtime:2.11.2")
}
