// The place of the sandbox.
//
// Here, after the limits and before `dlopen`, a template (or a worker that loads for itself) will give up what its plugin is not granted:
// namespaces, setgroups/setresgid/setresuid, Landlock, the base seccomp filter, in this order (ISOLATION §1). Two things it has to mind: a
// change of uid clears PDEATHSIG, so `Confinement.dieWith` is called again after it; and NO_NEW_PRIVS is set before this.
//
// Version 1 has no rules in its settings, so there is nothing to enter.

/// Gives up everything that `settings` does not grant. Called once, by a process with one thread, before any code of the plugin.
func enterSandbox(_ settings: Settings) {}
