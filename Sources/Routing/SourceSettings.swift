/// Where a domain's events come from.
public enum SourceSettings: Sendable, Equatable {
    /// A folder whose files are watched.
    case directory(DirectorySourceSettings)
}
