// swift-tools-version: 6.2
import PackageDescription

// FraudCore is compiled here from the same sources (a link), so that a benchmark can look at columns and decoders that are
// no public API, and so that no dependency of the other modules is fetched.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "fraud-benchmarks",
  platforms: [.macOS(.v26)],
  targets: [
    .target(name: "FraudCore", swiftSettings: settings),
    .executableTarget(name: "Benchmarks", dependencies: ["FraudCore"], swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
