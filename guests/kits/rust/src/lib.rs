// The kits' common plugin with Rust's kit, the crate extism-pdk.
use extism_pdk::*;
use serde::Serialize;

#[host_fn("extism:host/user")]
extern "ExtismHost" {
    fn reverse(text: String) -> String;
}

#[derive(Serialize, ToBytes)]
#[encoding(Json)]
struct Answer {
    status: u16,
    body: String,
    header: Option<String>,
}

#[plugin_fn]
pub fn greet(name: String) -> FnResult<String> {
    let greeting = config::get("greeting")?.unwrap_or_else(|| "Hello".to_string());
    Ok(format!("{greeting}, {name}!"))
}

#[plugin_fn]
pub fn count() -> FnResult<String> {
    let before: Option<String> = var::get("count")?;
    let next = before.map_or(Ok(0), |text| text.parse::<u64>())? + 1;
    var::set("count", next.to_string())?;
    Ok(next.to_string())
}

#[plugin_fn]
pub fn fetch(url: String) -> FnResult<Answer> {
    answer(http::request::<()>(&HttpRequest::new(url), None)?)
}

#[plugin_fn]
pub fn post(url: String) -> FnResult<Answer> {
    let request = HttpRequest::new(url).with_method("POST").with_header("x-plugin", "kit");
    answer(http::request(&request, Some("knock, knock"))?)
}

fn answer(response: HttpResponse) -> FnResult<Answer> {
    Ok(Answer {
        status: response.status_code(),
        body: String::from_utf8(response.body())?,
        header: response.header("x-kit").map(str::to_string),
    })
}

#[plugin_fn]
pub fn ask_host(text: String) -> FnResult<String> {
    Ok(unsafe { reverse(text)? })
}

#[plugin_fn]
pub fn fail() -> FnResult<()> {
    Err(WithReturnCode::new(Error::msg("no good"), 1))
}

#[plugin_fn]
pub fn log_levels() -> FnResult<()> {
    trace!("a trace line");
    debug!("a debug line");
    info!("an info line");
    warn!("a warn line");
    error!("an error line");
    Ok(())
}
