// swift-tools-version:6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// What a plugin needs to be written in Swift, and nothing else: no dependencies. A plugin that takes only CapeletSDK does not link
// Foundation; CapeletJSON adds Codable payloads, configuration and outputs, and links FoundationEssentials.
let package = Package(
    name: "capelet-sdk",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "CapeletSDK", targets: ["CapeletSDK"]),
        .library(name: "CapeletJSON", targets: ["CapeletJSON"]),
    ],
    targets: [
        .target(name: "CCapelet"),
        .target(name: "CapeletSDK", dependencies: ["CCapelet"], swiftSettings: swiftSettings),
        .target(name: "CapeletJSON", dependencies: ["CapeletSDK"], swiftSettings: swiftSettings),
    ]
)
