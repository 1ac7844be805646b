// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "swift-static",
    platforms: [.macOS(.v15)],
    products: [.library(name: "swift-static", type: .dynamic, targets: ["Echo"])],
    dependencies: [.package(path: "../capelet-sdk")],
    targets: [.target(name: "Echo", dependencies: [.product(name: "CapeletSDK", package: "capelet-sdk")])]
)
