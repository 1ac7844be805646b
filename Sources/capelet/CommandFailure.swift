/// Why a command ends without having done what it was asked.
struct CommandFailure: Error, Equatable {
    /// What the shell sees.
    enum Code: Int32 {
        /// Failed, or the host refused.
        case failed = 1
        /// No host answers.
        case noHost = 2
        /// The command was used wrongly (EX_USAGE).
        case usage = 64
        /// The routing file is wrong or missing (EX_CONFIG).
        case configuration = 78
    }

    var code: Code
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
