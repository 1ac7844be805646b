// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "__name__",
    platforms: [.macOS(.v15)],
    products: [
        // The plugin: .build/release/lib__name__.so
        .library(name: "__name__", type: .dynamic, targets: ["__Name__Plugin"])
    ],
    dependencies: [
        // A copy of Capelet's plugin SDK; it has no dependencies of its own.
        .package(path: "capelet-sdk")
    ],
    targets: [
        .target(
            name: "__Name__Plugin",
            dependencies: [
                // For Codable payloads, outputs and configuration add this and `import CapeletJSON`; the plugin then links Foundation.
                // .product(name: "CapeletJSON", package: "capelet-sdk"),
                .product(name: "CapeletSDK", package: "capelet-sdk")
            ])
    ]
)
