// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "ScoreInProcess",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "fraud-sdk", path: "../..")],
  targets: [
    .executableTarget(
      name: "ScoreInProcess", dependencies: [.product(name: "FraudCore", package: "fraud-sdk")])
  ],
  swiftLanguageModes: [.v6]
)
