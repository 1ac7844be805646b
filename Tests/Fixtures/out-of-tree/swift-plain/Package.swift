// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "swift-plain",
    platforms: [.macOS(.v15)],
    products: [.library(name: "swift-plain", type: .dynamic, targets: ["Echo"])],
    dependencies: [.package(path: "../capelet-sdk")],
    targets: [.target(name: "Echo", dependencies: [.product(name: "CapeletSDK", package: "capelet-sdk")])]
)
