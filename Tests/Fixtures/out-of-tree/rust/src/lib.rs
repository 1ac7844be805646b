//! echo: puts out the payload. emit-copy: emits the event again, to the domain `to:` (default `copies`).

mod capelet;

use capelet::*;
use std::ffi::c_void;
use std::mem::size_of;
use std::ptr::null;

extern "C" fn start(host: *const Host, state: *mut *mut c_void, _result: *mut Outcome) -> i32 {
    unsafe { *state = host as *mut c_void };
    0
}

extern "C" fn echo(state: *mut c_void, event: *const Event, _result: *mut Outcome) -> i32 {
    let (host, event) = unsafe { (&*(state as *const Host), &*event) };
    if (host.output)(host, event.token, event.payload.data, event.payload.size) == 0 { SUCCESS } else { FATAL }
}

extern "C" fn emit_copy(state: *mut c_void, event: *const Event, _result: *mut Outcome) -> i32 {
    let (host, event) = unsafe { (&*(state as *const Host), &*event) };
    let mut domain = Bytes::of("copies");
    (host.config)(host, c"to".as_ptr(), &mut domain);
    let copy = Emit {
        struct_size: size_of::<Emit>() as u32,
        header_count: 0,
        domain,
        subject: event.subject,
        kind: event.kind,
        id: Bytes::EMPTY,
        payload: event.payload,
        headers: null(),
    };
    if (host.emit)(host, event.token, &copy) == 0 { SUCCESS } else { FATAL }
}

const fn lambda(name: &'static std::ffi::CStr, handle: extern "C" fn(*mut c_void, *const Event, *mut Outcome) -> i32) -> Lambda {
    Lambda {
        struct_size: size_of::<Lambda>() as u32,
        flags: 0,
        name: name.as_ptr(),
        summary: null(),
        start: Some(start),
        stop: None,
        handle: Some(handle),
        handle_batch: None,
        batch_max: 0,
        reserved: 0,
        cancel: None,
    }
}

/// What never changes may be shared by threads, pointers in it included.
struct Shared<T>(T);
unsafe impl<T> Sync for Shared<T> {}

static ECHO: Shared<Lambda> = Shared(lambda(c"echo", echo));
static EMIT_COPY: Shared<Lambda> = Shared(lambda(c"emit-copy", emit_copy));
static LAMBDAS: Shared<[*const Lambda; 2]> = Shared([&ECHO.0, &EMIT_COPY.0]);
static PLUGIN: Shared<Plugin> = Shared(Plugin {
    struct_size: size_of::<Plugin>() as u32,
    abi_version: ABI_VERSION,
    version: c"1.0".as_ptr(),
    lambda_count: 2,
    lambdas: &LAMBDAS.0 as *const *const Lambda,
});

/// The one function that a plugin exports.
#[no_mangle]
pub extern "C" fn capelet_plugin_v1() -> *const Plugin {
    &PLUGIN.0
}
