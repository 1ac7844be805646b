// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "{{name}}",
    platforms: [.macOS(.v15)],
    products: [
        // The plugin: .build/release/lib{{name}}.so
        .library(name: "{{name}}", type: .dynamic, targets: ["{{Name}}Plugin"])
    ],
    dependencies: [
        // A copy of Capelet's plugin SDK; it has no dependencies of its own.
        .package(path: "capelet-sdk")
    ],
    targets: [
        .target(
            name: "{{Name}}Plugin",
            dependencies: [
                .product(name: "CapeletSDK", package: "capelet-sdk"),
                // Codable payloads, outputs and configuration; with it the plugin links Foundation. Then `import CapeletJSON`.
                // .product(name: "CapeletJSON", package: "capelet-sdk"),
            ])
    ]
)
