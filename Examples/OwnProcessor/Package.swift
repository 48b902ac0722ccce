// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "OwnProcessor",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "fraud-sdk", path: "../..")],
  targets: [
    .executableTarget(
      name: "OwnProcessor", dependencies: [.product(name: "FraudCore", package: "fraud-sdk")])
  ],
  swiftLanguageModes: [.v6]
)
