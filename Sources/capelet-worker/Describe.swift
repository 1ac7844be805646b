import CCapelet
import CLibC

/// `capelet-worker describe FOLDER NAME.so`: loads a plugin and prints what it says that it has. A process that is thrown away, since
/// asking a plugin means to run its code.
///
/// Output, on success, and exit status 0:
///
///     plugin <interface version> <version of the plugin>
///     lambda <name>\t<summary>\t<which of start,handle,batch,cancel it has>
///     threads <how many this process has after loading>
///     end
///
/// On failure `error <why>` and exit status 1. Control characters in the plugin's words are printed as spaces.
///
/// When descriptor 3 is settings of the host (keeper_messages.h), the process enters the sandbox that they describe first: the plugin's
/// load-time constructors run here.
///
/// Limits: 1 GiB of RLIMIT_DATA, 10 s of processor time, 30 s in all, no core file. If standard input is a pipe or a socket, the process
/// also ends when its other end is closed, so that none is left when its host dies.
enum Describe {
    private static let dataMax: UInt64 = 1 << 30
    private static let cpuSecondsMax: UInt64 = 10
    private static let secondsMax: UInt32 = 30

    static func run(folder: UnsafePointer<CChar>, library: UnsafePointer<CChar>) -> Never {
        let output = begin()
        var name: Text = []
        name.append(cString: library)
        let directory = enterSandbox(folder: folder, output: output)
        var text: Text = []
        switch Plugin.load(directory: directory, library: name) {
        case .failed(let why): reportFailure(why, to: output)
        case .loaded(let plugin):
            let threads = Plugin.threadCount()
            switch plugin.table(.empty) {
            case .invalid(let why): reportFailure(why, to: output)
            case .table(let table): describe(table, threads: threads, into: &text)
            }
        }
        writeAll(output, text)
        // Without the plugin's destructors: they were not asked for.
        _exit(0)
    }

    /// What a process does before it loads what is to be described. Returns the descriptor for our lines.
    static func begin() -> Int32 {
        completeEnvironment()
        capelet_linux_reset_signals()
        capelet_linux_die_with(0)
        alarm(secondsMax)
        _ = capelet_linux_limit(Int32(CAPELET_LINUX_LIMIT_CORE), 0, 0)
        _ = capelet_linux_limit(Int32(CAPELET_LINUX_LIMIT_DATA), dataMax, 0)
        _ = capelet_linux_limit(Int32(CAPELET_LINUX_LIMIT_CPU), cpuSecondsMax, 2)
        _ = capelet_linux_no_new_privileges()

        // What the plugin prints is not to get between our lines.
        let output = capelet_linux_duplicate_above(1, 64)
        dup2(2, 1)
        if output < 0 { fail("standard output is closed", status: 64) }
        capelet_linux_line_buffer_output()
        return output
    }

    /// Enters the sandbox of the host's settings, if there are any. Returns by what path the folder can be reached.
    static func enterSandbox(folder: UnsafePointer<CChar>, output: Int32) -> Text {
        var directory: Text = []
        directory.append(cString: folder)
        if let settings = Settings(descriptor: Template.socket) {
            // By its descriptor, as in a template: the sandbox may not be able to go there by its path.
            let place = capelet_linux_open_path(folder)
            if place < 0 || dup2(place, Template.directory) < 0 { fail("the plugin's folder cannot be opened", status: 64) }
            directory = Template.directoryPath
            if let why = Sandbox(settings: settings).enter(forks: false) { reportFailure(why, to: output) }
        }
        return directory
    }

    private static func describe(_ table: PluginTable, threads: Int, into text: inout Text) {
        text.append("plugin ")
        text.append(number: Int(table.abiVersion))
        text.append(" ")
        text.append(contentsOf: printable(table.version))
        text.append("\n")
        for lambda in table.lambdas {
            text.append("lambda ")
            text.append(contentsOf: lambda.name)
            text.append("\t")
            text.append(contentsOf: printable(lambda.summary))
            text.append("\t")
            var first = true
            func flag(_ present: Bool, _ name: StaticString) {
                guard present else { return }
                if !first { text.append(",") }
                first = false
                text.append(name)
            }
            flag(lambda.start != nil, "start")
            flag(lambda.handle != nil, "handle")
            flag(lambda.handleBatch != nil, "batch")
            flag(lambda.cancel != nil, "cancel")
            text.append("\n")
        }
        text.append("threads ")
        text.append(number: threads)
        text.append("\nend\n")
    }

    static func reportFailure(_ why: Text, to output: Int32) -> Never {
        var text = Text.of("error ")
        text.append(contentsOf: printable(why))
        text.append("\n")
        writeAll(output, text)
        _exit(1)
    }

    static func printable(_ text: Text) -> Text {
        Text(text.prefix(4096).map { $0 < 32 || $0 == 127 ? 32 : $0 })
    }

    /// The variables that plugins are loaded with elsewhere have to be there when a program starts. If they are not, it starts again.
    private static func completeEnvironment() {
        let missing = KeeperLaunch.ownVariables.contains { name, _ in getenv(name.cString) == nil }
        if !missing { return }
        for (name, value) in KeeperLaunch.ownVariables { setenv(name.cString, value.cString, 0) }
        execv("/proc/self/exe", capelet_linux_arguments())
        // Without /proc it goes on as it is: only a plugin with much thread-local storage notices.
    }
}

extension StaticString {
    /// Valid for ever; literals are terminated.
    var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
