// swift-tools-version: 6.2
import PackageDescription

/// One strict list for every target: an import is internal unless said otherwise, a warning is an error,
/// and every unsafe expression is marked.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "fraud-sdk",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "FraudCore", targets: ["FraudCore"]),
    .library(name: "FraudKafka", targets: ["FraudKafka"]),
    .library(name: "FraudStore", targets: ["FraudStore"]),
    .executable(name: "fraudctl", targets: ["fraudctl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .systemLibrary(
      name: "CRdkafka", pkgConfig: "rdkafka",
      providers: [.apt(["librdkafka-dev"]), .brew(["librdkafka"])]),
    .systemLibrary(
      name: "CPQ", pkgConfig: "libpq",
      providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
    .systemLibrary(
      name: "CZstd", pkgConfig: "libzstd",
      providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .target(name: "FraudCore", swiftSettings: settings),
    .target(
      name: "FraudKafka",
      dependencies: ["FraudCore", "CRdkafka", .product(name: "Logging", package: "swift-log")],
      swiftSettings: settings),
    .target(
      name: "FraudStore",
      dependencies: ["FraudCore", "CPQ", "CZstd", .product(name: "Logging", package: "swift-log")],
      swiftSettings: settings),
    .executableTarget(
      name: "fraudctl",
      dependencies: [
        "FraudCore", "FraudKafka", "FraudStore", "Yams",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    // The deterministic simulation of the processor: `Scripts/simulate`.
    .executableTarget(
      name: "simulate", dependencies: ["FraudCore", "TestRandom"], path: "Tests/Simulation", swiftSettings: settings),
    .target(name: "TestRandom", path: "Tests/TestRandom", swiftSettings: settings),
    .target(
      name: "TestBrokers", dependencies: ["FraudKafka"], path: "Tests/TestBrokers", swiftSettings: settings),
    .testTarget(name: "SimulationTests", dependencies: ["FraudCore", "simulate"], swiftSettings: settings),
    .testTarget(
      name: "FraudCoreTests", dependencies: ["FraudCore", "TestRandom"], exclude: ["Cases"],
      swiftSettings: settings),
    .testTarget(
      name: "FraudKafkaTests", dependencies: ["FraudCore", "FraudKafka", "CRdkafka", "TestBrokers"],
      swiftSettings: settings),
    .testTarget(
      name: "FraudStoreTests", dependencies: ["FraudCore", "FraudStore", "TestRandom"], swiftSettings: settings),
    .testTarget(
      name: "FraudctlTests",
      dependencies: [
        "FraudCore", "FraudKafka", "FraudStore", "TestBrokers", "TestRandom", "fraudctl",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
