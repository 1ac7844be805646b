//! capelet.h, version 1, written by hand.
#![allow(dead_code)]

use std::ffi::{c_char, c_void};

pub const ABI_VERSION: u32 = 1;
pub const SUCCESS: i32 = 0;
pub const RETRY: i32 = 1;
pub const FATAL: i32 = 2;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub data: *const c_void,
    pub size: usize,
}

impl Bytes {
    pub const EMPTY: Bytes = Bytes { data: std::ptr::null(), size: 0 };

    pub const fn of(text: &'static str) -> Bytes {
        Bytes { data: text.as_ptr() as *const c_void, size: text.len() }
    }
}

#[repr(C)]
pub struct Header {
    pub name: Bytes,
    pub value: Bytes,
}

#[repr(C)]
pub struct Input {
    pub lambda: Bytes,
    pub output: Bytes,
}

#[repr(C)]
pub struct Event {
    pub struct_size: u32,
    pub attempt: u32,
    pub flags: u32,
    pub header_count: u32,
    pub token: u64,
    pub sequence: u64,
    pub offset: u64,
    pub time_micros: i64,
    pub domain: Bytes,
    pub subject: Bytes,
    pub kind: Bytes,
    pub id: Bytes,
    pub payload: Bytes,
    pub headers: *const Header,
    pub inputs: *const Input,
    pub input_count: u32,
    pub reserved: u32,
}

#[repr(C)]
pub struct Outcome {
    pub struct_size: u32,
    pub reserved: u32,
    pub retry_after_millis: u64,
    pub message: [c_char; 512],
}

#[repr(C)]
pub struct Emit {
    pub struct_size: u32,
    pub header_count: u32,
    pub domain: Bytes,
    pub subject: Bytes,
    pub kind: Bytes,
    pub id: Bytes,
    pub payload: Bytes,
    pub headers: *const Header,
}

#[repr(C)]
pub struct Host {
    pub struct_size: u32,
    pub abi_version: u32,
    pub lambda: Bytes,
    pub state_directory: Bytes,
    pub config_json: Bytes,
    pub worker_index: u32,
    pub reserved: u32,
    pub config: extern "C" fn(*const Host, *const c_char, *mut Bytes) -> i32,
    pub log: extern "C" fn(*const Host, u64, i32, *const c_char, usize),
    pub output: extern "C" fn(*const Host, u64, *const c_void, usize) -> i32,
    pub emit: extern "C" fn(*const Host, u64, *const Emit) -> i32,
    pub extend: extern "C" fn(*const Host, u64, u64) -> i32,
    pub complete: extern "C" fn(*const Host, u64, i32, *const Outcome) -> i32,
    pub is_cancelled: extern "C" fn(*const Host, u64) -> i32,
    pub entry: *const Lambda,
}

#[repr(C)]
pub struct Lambda {
    pub struct_size: u32,
    pub flags: u32,
    pub name: *const c_char,
    pub summary: *const c_char,
    pub start: Option<extern "C" fn(*const Host, *mut *mut c_void, *mut Outcome) -> i32>,
    pub stop: Option<extern "C" fn(*mut c_void)>,
    pub handle: Option<extern "C" fn(*mut c_void, *const Event, *mut Outcome) -> i32>,
    pub handle_batch: Option<extern "C" fn(*mut c_void, *const *const Event, usize, *mut i32, *const *mut Outcome)>,
    pub batch_max: u32,
    pub reserved: u32,
    pub cancel: Option<extern "C" fn(*mut c_void, u64)>,
}

#[repr(C)]
pub struct Plugin {
    pub struct_size: u32,
    pub abi_version: u32,
    pub version: *const c_char,
    pub lambda_count: usize,
    pub lambdas: *const *const Lambda,
}
