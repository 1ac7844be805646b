import CCapelet
import CLibC

/// What a plugin says that it has, checked field by field. Structures of the plugin may be older (shorter) or newer (longer) than ours: a
/// field is read only if it lies within the structure's own size.
struct PluginTable {
    let abiVersion: UInt32
    /// May be empty.
    let version: Text
    let lambdas: [PluginLambda]

    enum Reading {
        case table(PluginTable)
        case invalid(Text)
    }

    /// More lambdas than this in one plugin are taken for a spoilt table.
    private static let lambdaCountMax = 4096
    /// Nor can a structure be larger than this.
    private static let structSizeMax: UInt32 = 64 << 10

    static func read(_ plugin: UnsafePointer<capelet_plugin>?) -> Reading {
        guard let plugin else { return .invalid(Text.of("capelet_plugin_v1 returned NULL")) }
        let size = plugin.pointee.struct_size
        guard size >= 8, size <= structSizeMax else { return badSize("capelet_plugin", size) }
        let abi = plugin.pointee.abi_version
        guard abi >= 1, abi <= CAPELET_ABI_VERSION else {
            var text = Text.of("the plugin was built for version ")
            text.append(number: Int(abi))
            text.append(" of the plugin interface, and this program knows version ")
            text.append(number: Int(CAPELET_ABI_VERSION))
            text.append("; rebuild the plugin, or install a newer capelet")
            return .invalid(text)
        }
        guard size >= MemoryLayout<capelet_plugin>.size else { return badSize("capelet_plugin", size) }
        let count = plugin.pointee.lambda_count
        guard count > 0, count <= lambdaCountMax, let elements = plugin.pointee.lambdas else {
            return .invalid(Text.of("the plugin's table has no lambdas, or an impossible number of them"))
        }
        var lambdas: [PluginLambda] = []
        for i in 0..<count {
            switch PluginLambda.read(elements[i]) {
            case .invalid(let why):
                var text = Text.of("lambda ")
                text.append(number: i)
                text.append(" of the plugin's table: ")
                text.append(contentsOf: why)
                return .invalid(text)
            case .lambda(let lambda):
                if lambdas.contains(where: { $0.name == lambda.name }) {
                    var text = Text.of("two lambdas of the plugin are named ")
                    text.append(contentsOf: lambda.name)
                    return .invalid(text)
                }
                lambdas.append(lambda)
            }
        }
        var version: Text = []
        version.append(cString: plugin.pointee.version)
        return .table(PluginTable(abiVersion: abi, version: version, lambdas: lambdas))
    }

    private static func badSize(_ name: StaticString, _ size: UInt32) -> Reading {
        var text = Text.of("struct_size of ")
        text.append(name)
        text.append(" is ")
        text.append(number: Int(size))
        text.append("; it has to be sizeof(struct), as in capelet.h")
        return .invalid(text)
    }

    /// The lambda of that name, or nil.
    func lambda(named name: UnsafeRawBufferPointer) -> PluginLambda? {
        lambdas.first { $0.name.withUnsafeBytes { $0.equals(name) } }
    }

    /// Says that there is no such lambda, and which there are.
    func unknown(_ name: UnsafeRawBufferPointer) -> Text {
        var text = Text.of("the plugin has no lambda named ")
        text.append(name)
        text.append("; it has: ")
        for (i, lambda) in lambdas.enumerated() {
            if i > 0 { text.append(", ") }
            text.append(contentsOf: lambda.name)
        }
        return text
    }
}

/// One lambda of the table. The functions are nil where the plugin's structure is too short for them.
struct PluginLambda {
    /// The plugin's own element.
    let element: UnsafePointer<capelet_lambda>
    let name: Text
    let summary: Text
    private(set) var start:
        (
            @convention(c) (
                UnsafePointer<capelet_host>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafeMutablePointer<capelet_result>?
            ) -> Int32
        )?
    private(set) var stop: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
    private(set) var handle:
        (@convention(c) (UnsafeMutableRawPointer?, UnsafePointer<capelet_event>?, UnsafeMutablePointer<capelet_result>?) -> Int32)?
    private(set) var handleBatch:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafePointer<UnsafePointer<capelet_event>?>?, Int, UnsafeMutablePointer<Int32>?,
                UnsafePointer<UnsafeMutablePointer<capelet_result>?>?
            ) -> Void
        )?
    private(set) var cancel: (@convention(c) (UnsafeMutableRawPointer?, UInt64) -> Void)?
    /// The most events of one call of `handleBatch`.
    private(set) var batchMax = 64

    enum Reading {
        case lambda(PluginLambda)
        case invalid(Text)
    }

    private init(element: UnsafePointer<capelet_lambda>, name: Text, summary: Text) {
        self.element = element
        self.name = name
        self.summary = summary
    }

    // Where the fields end in capelet_lambda; all pointers and 32-bit words, in this order since version 1.
    private static let handleEnd = 48, batchEnd = 56, batchMaxEnd = 60, cancelEnd = 72

    static func read(_ element: UnsafePointer<capelet_lambda>?) -> Reading {
        guard let element else { return .invalid(Text.of("it is NULL")) }
        let size = Int(element.pointee.struct_size)
        guard size >= handleEnd, size <= 64 << 10 else {
            var text = Text.of("struct_size is ")
            text.append(number: size)
            text.append("; it has to be sizeof(capelet_lambda)")
            return .invalid(text)
        }
        var name: Text = []
        name.append(cString: element.pointee.name)
        guard isName(name) else {
            return .invalid(Text.of("its name is missing or not valid: 1 to 64 letters, digits, - or _"))
        }
        var summary: Text = []
        summary.append(cString: element.pointee.summary)
        var lambda = PluginLambda(element: element, name: name, summary: summary)
        lambda.start = element.pointee.start
        lambda.stop = element.pointee.stop
        lambda.handle = element.pointee.handle
        if size >= batchEnd { lambda.handleBatch = element.pointee.handle_batch }
        if size >= batchMaxEnd {
            let most = Int(element.pointee.batch_max)
            guard most <= 1024 else {
                var text = name
                text.append(": batch_max is over 1,024")
                return .invalid(text)
            }
            if most > 0 { lambda.batchMax = most }
        }
        if size >= cancelEnd { lambda.cancel = element.pointee.cancel }
        guard lambda.handle != nil || lambda.handleBatch != nil else {
            var text = name
            text.append(": both handle and handle_batch are NULL")
            return .invalid(text)
        }
        return .lambda(lambda)
    }

    /// One that is made in this program, under any name.
    static func made(_ element: UnsafePointer<capelet_lambda>, name: Text) -> PluginLambda {
        var lambda = PluginLambda(element: element, name: name, summary: [])
        lambda.start = element.pointee.start
        lambda.handle = element.pointee.handle
        return lambda
    }

    private static func isName(_ name: Text) -> Bool {
        guard !name.isEmpty, name.count <= 64 else { return false }
        for byte in name {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                continue
            default: return false
            }
        }
        return true
    }
}
