// The kits' common plugin in Zig. Extism's kit for Zig is on no registry and follows an older Zig, so this imports the
// ABI itself.
const std = @import("std");

const env = struct {
    extern "extism:host/env" fn alloc(length: u64) u64;
    extern "extism:host/env" fn free(block: u64) void;
    extern "extism:host/env" fn length(block: u64) u64;
    extern "extism:host/env" fn load_u8(address: u64) u8;
    extern "extism:host/env" fn load_u64(address: u64) u64;
    extern "extism:host/env" fn store_u8(address: u64, value: u8) void;
    extern "extism:host/env" fn store_u64(address: u64, value: u64) void;
    extern "extism:host/env" fn input_length() u64;
    extern "extism:host/env" fn input_load_u8(offset: u64) u8;
    extern "extism:host/env" fn input_load_u64(offset: u64) u64;
    extern "extism:host/env" fn output_set(address: u64, length: u64) void;
    extern "extism:host/env" fn error_set(block: u64) void;
    extern "extism:host/env" fn config_get(key: u64) u64;
    extern "extism:host/env" fn var_get(key: u64) u64;
    extern "extism:host/env" fn var_set(key: u64, value: u64) void;
    extern "extism:host/env" fn http_request(request: u64, body: u64) u64;
    extern "extism:host/env" fn http_status_code() i32;
    extern "extism:host/env" fn http_headers() u64;
    extern "extism:host/env" fn log_trace(message: u64) void;
    extern "extism:host/env" fn log_debug(message: u64) void;
    extern "extism:host/env" fn log_info(message: u64) void;
    extern "extism:host/env" fn log_warn(message: u64) void;
    extern "extism:host/env" fn log_error(message: u64) void;
};

extern "extism:host/user" fn reverse(text: u64) u64;

/// Memory of one call, freed as a whole when the next one begins.
var arena = std.heap.ArenaAllocator.init(std.heap.wasm_allocator);

fn begin() std.mem.Allocator {
    _ = arena.reset(.retain_capacity);
    return arena.allocator();
}

fn blockFrom(bytes: []const u8) u64 {
    const block = env.alloc(bytes.len);
    var at: usize = 0;
    while (at + 8 <= bytes.len) : (at += 8) env.store_u64(block + at, std.mem.readInt(u64, bytes[at..][0..8], .little));
    while (at < bytes.len) : (at += 1) env.store_u8(block + at, bytes[at]);
    return block;
}

fn textOf(gpa: std.mem.Allocator, block: u64) ![]u8 {
    const bytes = try gpa.alloc(u8, @intCast(env.length(block)));
    var at: usize = 0;
    while (at + 8 <= bytes.len) : (at += 8) std.mem.writeInt(u64, bytes[at..][0..8], env.load_u64(block + at), .little);
    while (at < bytes.len) : (at += 1) bytes[at] = env.load_u8(block + at);
    return bytes;
}

fn inputText(gpa: std.mem.Allocator) ![]u8 {
    const bytes = try gpa.alloc(u8, @intCast(env.input_length()));
    var at: usize = 0;
    while (at + 8 <= bytes.len) : (at += 8) std.mem.writeInt(u64, bytes[at..][0..8], env.input_load_u64(at), .little);
    while (at < bytes.len) : (at += 1) bytes[at] = env.input_load_u8(at);
    return bytes;
}

fn output(bytes: []const u8) void {
    env.output_set(blockFrom(bytes), bytes.len);
}

/// The return code of a function; a failure becomes the error message.
fn codeOf(result: anyerror!void) i32 {
    result catch |failure| {
        env.error_set(blockFrom(@errorName(failure)));
        return 1;
    };
    return 0;
}

export fn greet() i32 {
    return codeOf(greeting(begin()));
}

fn greeting(gpa: std.mem.Allocator) !void {
    const configured = env.config_get(blockFrom("greeting"));
    const word = if (configured == 0) "Hello" else try textOf(gpa, configured);
    output(try std.fmt.allocPrint(gpa, "{s}, {s}!", .{ word, try inputText(gpa) }));
}

export fn count() i32 {
    return codeOf(counting(begin()));
}

fn counting(gpa: std.mem.Allocator) !void {
    const before = env.var_get(blockFrom("count"));
    const value = if (before == 0) 0 else try std.fmt.parseInt(u64, try textOf(gpa, before), 10);
    const text = try std.fmt.allocPrint(gpa, "{d}", .{value + 1});
    env.var_set(blockFrom("count"), blockFrom(text));
    output(text);
}

const Headers = struct { @"x-plugin": []const u8 = "kit" };
const Get = struct { url: []const u8 };
const Post = struct { url: []const u8, method: []const u8 = "POST", headers: Headers = .{} };

export fn fetch() i32 {
    return codeOf(fetching(begin()));
}

fn fetching(gpa: std.mem.Allocator) !void {
    try send(gpa, Get{ .url = try inputText(gpa) }, 0);
}

export fn post() i32 {
    return codeOf(posting(begin()));
}

fn posting(gpa: std.mem.Allocator) !void {
    try send(gpa, Post{ .url = try inputText(gpa) }, blockFrom("knock, knock"));
}

fn send(gpa: std.mem.Allocator, request: anytype, body: u64) !void {
    const answer = env.http_request(blockFrom(try std.json.Stringify.valueAlloc(gpa, request, .{})), body);
    const text = try textOf(gpa, answer);
    const header = try headerNamed(gpa, "x-kit");
    const result = .{ .status = env.http_status_code(), .body = text, .header = header };
    output(try std.json.Stringify.valueAlloc(gpa, result, .{}));
}

fn headerNamed(gpa: std.mem.Allocator, name: []const u8) !?[]const u8 {
    const block = env.http_headers();
    if (block == 0) return null;
    const headers = try std.json.parseFromSliceLeaky(std.json.ArrayHashMap([]const u8), gpa, try textOf(gpa, block), .{});
    return headers.map.get(name);
}

export fn ask_host() i32 {
    return codeOf(asking(begin()));
}

fn asking(gpa: std.mem.Allocator) !void {
    const answer = reverse(blockFrom(try inputText(gpa)));
    env.output_set(answer, env.length(answer));
}

export fn fail() i32 {
    env.error_set(blockFrom("no good"));
    return 1;
}

export fn log_levels() i32 {
    env.log_trace(blockFrom("a trace line"));
    env.log_debug(blockFrom("a debug line"));
    env.log_info(blockFrom("an info line"));
    env.log_warn(blockFrom("a warn line"));
    env.log_error(blockFrom("an error line"));
    return 0;
}
