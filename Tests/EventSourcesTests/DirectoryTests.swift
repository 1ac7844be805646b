import Testing

/// Tests with real files, one after another: they wait for things that happen within milliseconds, and would only take each other's time.
@Suite(.serialized) struct DirectoryTests {}
