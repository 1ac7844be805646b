/// The version of the program: the same for host and command line.
public enum CapeletVersion {
    /// `MAJOR.MINOR.PATCH` (https://semver.org).
    public static let current = "0.1.0"
}
