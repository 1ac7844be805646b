//! villain in Rust: panics, and what C does as well.

#[path = "../../out-of-tree/rust/src/capelet.rs"]
mod capelet;

use capelet::*;
use std::ffi::c_void;
use std::fs::OpenOptions;
use std::io::Write;
use std::mem::size_of;
use std::ptr::null;

fn text(bytes: &Bytes) -> String {
    if bytes.size == 0 {
        return String::new();
    }
    String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(bytes.data as *const u8, bytes.size) }).into_owned()
}

fn record(host: &Host, mark: &str, event: &Event) {
    let line =
        format!("{} {} {} {} {} {} 1\n", mark, text(&event.subject), event.sequence, event.attempt, std::process::id(), event.flags);
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(text(&host.state_directory) + "/record") {
        let _ = file.write_all(line.as_bytes());
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let block = std::hint::black_box([depth; 1000]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + block[999] }
}

extern "C" fn start(host: *const Host, state: *mut *mut c_void, _result: *mut Outcome) -> i32 {
    unsafe { *state = host as *mut c_void };
    0
}

extern "C" fn handle(state: *mut c_void, event: *const Event, _result: *mut Outcome) -> i32 {
    let (host, event) = unsafe { (&*(state as *const Host), &*event) };
    record(host, "B", event);
    match text(&event.payload).trim_matches('"') {
        "panic" => panic!("nobody catches this"),
        "null" => unsafe { std::ptr::write_volatile(std::hint::black_box(8usize) as *mut i32, 1) },
        "exit" => std::process::exit(0),
        "overflow" => {
            std::hint::black_box(recurse(0));
        }
        "heap" => unsafe {
            let block = std::alloc::alloc(std::alloc::Layout::from_size_align_unchecked(40, 8));
            std::ptr::write_bytes(std::hint::black_box(block), 0x41, 4096);
            let more: Vec<Vec<u8>> = (0..64).map(|size| vec![0; size * 100]).collect();
            std::hint::black_box(more);
        },
        "spin" => loop {
            std::hint::spin_loop();
        },
        _ => {}
    }
    record(host, "E", event);
    SUCCESS
}

/// What never changes may be shared by threads, pointers in it included.
struct Shared<T>(T);
unsafe impl<T> Sync for Shared<T> {}

static VILLAIN: Shared<Lambda> = Shared(Lambda {
    struct_size: size_of::<Lambda>() as u32,
    flags: 0,
    name: c"villain".as_ptr(),
    summary: null(),
    start: Some(start),
    stop: None,
    handle: Some(handle),
    handle_batch: None,
    batch_max: 0,
    reserved: 0,
    cancel: None,
});
static LAMBDAS: Shared<[*const Lambda; 1]> = Shared([&VILLAIN.0]);
static PLUGIN: Shared<Plugin> = Shared(Plugin {
    struct_size: size_of::<Plugin>() as u32,
    abi_version: ABI_VERSION,
    version: c"1".as_ptr(),
    lambda_count: 1,
    lambdas: &LAMBDAS.0 as *const *const Lambda,
});

/// The one function that a plugin exports.
#[no_mangle]
pub extern "C" fn capelet_plugin_v1() -> *const Plugin {
    &PLUGIN.0
}
