// The functions that every provider here exports. The host calls them by name, with JSON in and out.

/// Exports them for a module `wire` with `NAME`, `BASE_URL`, `KEY_NAME`, `KEYS`, `settings`, `chat_request`, `models_request`,
/// `models`, `answer`, `refusal` and `Events`.
#[macro_export]
macro_rules! provider {
    ($wire:ident) => {
        thread_local! {
            static PARSERS: $crate::streams::Cell<$wire::Events> = Default::default();
        }

        #[plugin_fn]
        pub fn name() -> FnResult<String> {
            Ok($wire::NAME.to_string())
        }

        /// Nothing is logged here: what is worth saying is an error's message.
        #[plugin_fn]
        pub fn init_logging(_level: String) -> FnResult<()> {
            Ok(())
        }

        #[plugin_fn]
        pub fn base_url() -> FnResult<String> {
            Ok($wire::BASE_URL.to_string())
        }

        #[plugin_fn]
        pub fn api_key_name() -> FnResult<String> {
            Ok($wire::KEY_NAME.to_string())
        }

        #[plugin_fn]
        pub fn config_schema() -> FnResult<String> {
            Ok($crate::settings::schema($wire::KEYS))
        }

        #[plugin_fn]
        pub fn from_config(input: Vec<u8>) -> FnResult<String> {
            $wire::settings($crate::exchange::input(&input)?)?;
            Ok("null".to_string())
        }

        #[plugin_fn]
        pub fn supports_streaming(input: Vec<u8>) -> FnResult<Json<bool>> {
            let settings = $wire::settings($crate::exchange::input(&input)?)?;
            Ok(Json(settings.flag("stream").unwrap_or(true)))
        }

        #[plugin_fn]
        pub fn list_models_request(input: Vec<u8>) -> FnResult<Json<RequestBox>> {
            let input: ConfigInput = $crate::exchange::input(&input)?;
            let settings = $wire::settings(input.cfg)?;
            Ok(Json(RequestBox { req: $wire::models_request(&settings)? }))
        }

        #[plugin_fn]
        pub fn parse_list_models_response(input: Vec<u8>) -> FnResult<Json<Vec<String>>> {
            let input: ResponseBox = $crate::exchange::input(&input)?;
            Ok(Json($wire::models(&input.resp.body)?))
        }

        #[plugin_fn]
        pub fn chat_request(input: Vec<u8>) -> FnResult<Json<RequestBox>> {
            let input: ChatInput = $crate::exchange::input(&input)?;
            let settings = $wire::settings(input.cfg)?;
            let req = $wire::chat_request(&settings, &input.messages, input.tools.as_deref().unwrap_or_default(), false);
            Ok(Json(RequestBox { req: req? }))
        }

        #[plugin_fn]
        pub fn chat_stream_request(input: Vec<u8>) -> FnResult<Json<RequestBox>> {
            let input: ChatInput = $crate::exchange::input(&input)?;
            let settings = $wire::settings(input.cfg)?;
            if settings.flag("stream") == Some(false) {
                Err(Fault::new("not_implemented", "Streaming is switched off by the configuration"))?;
            }
            let req = $wire::chat_request(&settings, &input.messages, input.tools.as_deref().unwrap_or_default(), true);
            Ok(Json(RequestBox { req: req? }))
        }

        #[plugin_fn]
        pub fn parse_chat_response(input: Vec<u8>) -> FnResult<Json<Answer>> {
            let input: ParseInput = $crate::exchange::input(&input)?;
            let settings = $wire::settings(input.cfg)?;
            Ok(Json($wire::answer(&input.resp.resp.body).map_err(|fault| fault.without(&settings.secret()))?))
        }

        #[plugin_fn]
        pub fn classify_chat_error(input: Vec<u8>) -> FnResult<Json<Value>> {
            let input: ParseInput = $crate::exchange::input(&input)?;
            let settings = $wire::settings(input.cfg)?;
            Ok(Json($wire::refusal(&input.resp.resp).without(&settings.secret()).payload()))
        }

        #[plugin_fn]
        pub fn chat_stream_parser_start(input: Vec<u8>) -> FnResult<Json<u32>> {
            let secret = $wire::settings($crate::exchange::input(&input)?)?.secret();
            Ok(Json(PARSERS.with_borrow_mut(|parsers| parsers.start(secret))?))
        }

        #[plugin_fn]
        pub fn chat_stream_parser_parse(input: Vec<u8>) -> FnResult<Json<Vec<Item>>> {
            let input: ParserInput = $crate::exchange::input(&input)?;
            Ok(Json(PARSERS.with_borrow_mut(|parsers| parsers.parse(input.parser_id, &input.chunk))?))
        }

        #[plugin_fn]
        pub fn chat_stream_parser_finish(input: Vec<u8>) -> FnResult<Json<Vec<Item>>> {
            let id: u32 = $crate::exchange::input(&input)?;
            Ok(Json(PARSERS.with_borrow_mut(|parsers| parsers.finish(id))?))
        }

        #[plugin_fn]
        pub fn chat_stream_parser_close(input: Vec<u8>) -> FnResult<()> {
            let id: u32 = $crate::exchange::input(&input)?;
            PARSERS.with_borrow_mut(|parsers| parsers.close(id));
            Ok(())
        }
    };
}
