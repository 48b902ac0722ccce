// swift-tools-version: 6.2
import PackageDescription

/// Fuzz targets, apart from the product, since libFuzzer instruments everything it is linked with.
///
///     swift build -c release --package-path Fuzz
///     SWIFT_BACKTRACE=enable=no Fuzz/.build/release/FuzzParquet -max_total_time=600 -rss_limit_mb=2048 CORPUS </dev/null
///
/// The sources are the product's own, by symbolic links.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
  .unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"]),
]

let package = Package(
  name: "fraud-fuzz",
  platforms: [.macOS(.v26)],
  targets: [
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
    .target(name: "FraudCore", swiftSettings: settings),
    .target(
      name: "FraudStore", dependencies: ["FraudCore", "CZstd"], sources: ["Archive", "StoreError.swift"],
      swiftSettings: settings),
    .executableTarget(
      name: "FuzzParquet", dependencies: ["FraudCore", "FraudStore"], swiftSettings: settings,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    .executableTarget(
      name: "FuzzExpressions", dependencies: ["FraudCore"], swiftSettings: settings,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    .executableTarget(
      name: "FuzzPatterns", dependencies: ["FraudCore"], swiftSettings: settings,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    .executableTarget(
      name: "FuzzDecoder", dependencies: ["FraudCore"], swiftSettings: settings,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
  ],
  swiftLanguageModes: [.v6]
)
