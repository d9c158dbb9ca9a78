//! `GET /mock/consent/{provider}`: the page of an identity provider, on which a person signs in or refuses.

use axum::{
    extract::{Path, RawQuery, State},
    response::Html,
};

use crate::{mock::Mock, redirect::escape_html, request::query_parameter};

pub(crate) async fn consent_page(
    State(mock): State<Mock>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Html<String> {
    let provider = escape_html(&provider);
    let state = escape_html(&query_parameter(query.as_deref(), "state"));
    let form = format!(
        "<form action=\"/auth/v1/callback\"><input type=\"hidden\" name=\"state\" value=\"{state}\">"
    );
    let person = |(code, person): (&String, &crate::Person)| {
        let (code, name) = (escape_html(code), escape_html(&person.name));
        format!("<button name=\"code\" value=\"{code}\">Sign in as {name} ({code})</button>\n")
    };
    let people: String = mock.settings().people.iter().map(person).collect();
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{provider}</title>\n\
         <h1>Sign in with {provider}</h1>\n\
         {form}\n<label>E-mail address <input type=\"email\" name=\"code\" required autofocus></label>\n\
         <button>Sign in</button>\n</form>\n\
         {form}\n{people}</form>\n\
         {form}\n<input type=\"hidden\" name=\"error\" value=\"access_denied\">\n\
         <input type=\"hidden\" name=\"error_description\" value=\"The user denied the request\">\n\
         <button>Refuse</button>\n</form>\n</html>\n"
    ))
}
