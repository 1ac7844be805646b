// swift-tools-version:6.2
import PackageDescription

/// What every Capelet target is compiled with: see Docs/ARCHITECTURE.md, "House rules".
let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// The worker process has no Swift runtime in it, so that a plugin can bring its own.
let embeddedSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Embedded"),
    .unsafeFlags(["-wmo"]),
]

let package = Package(
    name: "capelet",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "capelet", targets: ["capelet"]),
        .executable(name: "capelet-worker", targets: ["capelet-worker"]),
        .library(name: "CapeletSDK", targets: ["CapeletSDK"]),
        .library(name: "CapeletJSON", targets: ["CapeletJSON"]),
        .library(name: "documents", type: .dynamic, targets: ["Documents"]),
        .library(name: "swift-fixture", type: .dynamic, targets: ["SwiftFixture"]),
        .library(name: "swift-villain", type: .dynamic, targets: ["SwiftVillain"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.0.0"),
    ],
    targets: [
        // The command line, the composition root and what the host is made of, top down.
        .executableTarget(
            name: "capelet",
            dependencies: [
                "Host", "Frontend", "Routing", "Telemetry", "ProjectTemplate", "Journal", "WorkerProtocol", "Supervisor", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Host",
            dependencies: [
                "Frontend", "EventSources", "Dispatcher", "Supervisor", "Journal", "Routing", "Telemetry",
                "WorkerProtocol", "CWorkerProtocol", "CLinux",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Frontend",
            dependencies: [
                "Journal", "Routing", "Telemetry", "WorkerProtocol",
                "CWorkerProtocol", "CLinux",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "EventSources",
            dependencies: [
                "Journal", "Routing", "Telemetry", "WorkerProtocol", "CLinux",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Dispatcher",
            dependencies: [
                "Supervisor", "Journal", "Routing", "Telemetry", "WorkerProtocol", "CWorkerProtocol", "CLinux",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Supervisor",
            dependencies: [
                "Routing", "Telemetry", "WorkerProtocol", "CLinux", "CWorkerProtocol", "CSeccomp",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Journal",
            dependencies: [
                "WorkerProtocol", "CWorkerProtocol", "CLinux", "Telemetry",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Routing",
            dependencies: [.product(name: "Yams", package: "Yams")],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "Telemetry",
            swiftSettings: swiftSettings
        ),
        .target(
            name: "WorkerProtocol",
            dependencies: ["CWorkerProtocol", "CLinux"],
            swiftSettings: swiftSettings
        ),
        .systemLibrary(name: "CSeccomp", providers: [.apt(["libseccomp-dev"])]),
        .target(name: "CWorkerProtocol"),
        .target(name: "CLinux"),
        .target(name: "ProjectTemplate", swiftSettings: swiftSettings),

        // The worker process: keeper, template and worker, in Embedded Swift.
        .executableTarget(
            name: "capelet-worker",
            dependencies: ["CWorkerProtocol", "CLibC", "CCapelet", "CFFI"],
            swiftSettings: embeddedSettings,
            // What comes out of static libraries (libffi) is nobody's to find in this process but the worker's own.
            linkerSettings: [.linkedLibrary("dl"), .unsafeFlags(["-Xlinker", "--exclude-libs", "-Xlinker", "ALL"])]
        ),

        // The plugin SDK: the same targets as PluginSDK/Package.swift, listed by path so that the root stays usable by version.
        .target(name: "CCapelet", path: "PluginSDK/Sources/CCapelet"),
        .target(
            name: "CapeletSDK", dependencies: ["CCapelet"], path: "PluginSDK/Sources/CapeletSDK",
            swiftSettings: swiftSettings),
        .target(
            name: "CapeletJSON", dependencies: ["CapeletSDK"], path: "PluginSDK/Sources/CapeletJSON",
            swiftSettings: swiftSettings),
        // The C library for the worker. It defines _GNU_SOURCE, which does not go together with Swift's own Glibc module.
        .target(name: "CLibC"),
        // Calls of plain C functions for the worker. Statically linked: a plugin may bring a libffi of its own. The archive with code that does
        // not depend on its position is Debian's libffi_pic.a, in libffi-dev.
        .target(name: "CFFI", linkerSettings: [.linkedLibrary(":libffi_pic.a")]),

        // Shipped plugins in Swift. Those in C are built by Plugins/build.sh.
        .systemLibrary(name: "CSQLite", path: "Plugins/documents/CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", path: "Plugins/documents/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "Documents", dependencies: ["CapeletSDK", "CSQLite", "CZlib"], path: "Plugins/documents/Sources",
            swiftSettings: swiftSettings),

        // Tests: one target for each source target; fixtures are plugins that the tests load.
        .target(name: "SwiftFixture", dependencies: ["CapeletSDK"], path: "Tests/Fixtures/swift", swiftSettings: swiftSettings),
        .target(
            name: "SwiftVillain", dependencies: ["CapeletSDK"], path: "Tests/Fixtures/hostile/swift", swiftSettings: swiftSettings),
        .testTarget(name: "TidyTests", swiftSettings: swiftSettings),
        .testTarget(name: "RoutingTests", dependencies: ["Routing"], swiftSettings: swiftSettings),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry"], swiftSettings: swiftSettings),
        .testTarget(
            name: "JournalTests",
            dependencies: [
                "Journal", "WorkerProtocol", "CWorkerProtocol", "CLinux",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "DispatcherTests", dependencies: ["Dispatcher", "Journal", "WorkerProtocol", "CWorkerProtocol", "Routing"],
            swiftSettings: swiftSettings),
        // No test target depends on capelet-worker itself: its embedded runtime would be linked into the test binary.
        .testTarget(name: "WorkerTests", dependencies: ["CWorkerProtocol", "CLinux"], swiftSettings: swiftSettings),
        .testTarget(
            name: "WorkerProtocolTests", dependencies: ["WorkerProtocol", "CWorkerProtocol", "CLinux"], swiftSettings: swiftSettings),
        .testTarget(
            name: "SupervisorTests",
            dependencies: [
                "Supervisor", "WorkerProtocol", "CWorkerProtocol", "CLinux", "Routing",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "EventSourcesTests",
            dependencies: [
                "EventSources", "Journal", "Routing", "WorkerProtocol", "CWorkerProtocol", "CLinux",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "FrontendTests",
            dependencies: [
                "Frontend", "Journal", "Routing", "Telemetry", "WorkerProtocol",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "capelet", "Frontend", "Journal", "Routing", "Telemetry", "WorkerProtocol",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "IntegrationTests", dependencies: ["WorkerProtocol", "CLinux"], swiftSettings: swiftSettings),
        .testTarget(
            name: "HostTests",
            dependencies: ["Host", "Frontend", .product(name: "Logging", package: "swift-log")], swiftSettings: swiftSettings),
        .testTarget(name: "PluginTests", dependencies: ["CCapelet"], exclude: ["C"], swiftSettings: swiftSettings),
        .testTarget(
            name: "SDKTests",
            dependencies: ["CCapelet", "CapeletSDK", "CapeletJSON", "Documents", "CSQLite", "ProjectTemplate"],
            swiftSettings: swiftSettings),
    ]
)
