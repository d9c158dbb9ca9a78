//! `GET /mock/consent/{provider}`: the page of an identity provider, on which a person signs in or refuses.

use axum::{
    extract::{Path, RawQuery, State},
    response::Html,
};

use crate::{mock::Mock, person::Person, redirect::escape_html, request::query_parameter};

pub(crate) async fn consent_page(
    State(mock): State<Mock>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Html<String> {
    let provider = escape_html(&provider);
    let state = escape_html(&query_parameter(query.as_deref(), "state"));
    let url = mock.url();
    let form = format!(
        "<form action=\"{url}/auth/v1/callback\"><input type=\"hidden\" name=\"state\" value=\"{state}\">"
    );
    let person = |(code, person): (&String, &Person)| {
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use crate::{mock::Mock, options::Options, router::router};

    async fn get(mock: &Mock, path: &str) -> (String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(mock.clone()).oneshot(request).await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap());
        let location = location.unwrap_or_default().replace(mock.url(), "");
        let page = response.into_body().collect().await.unwrap().to_bytes();
        (location, String::from_utf8(page.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_consent_page_leads_back_and_a_named_user_skips_it() {
        let address = ([127, 0, 0, 1], 9999).into();
        let mock = Mock::new(Options::default(), address, || UNIX_EPOCH).unwrap();
        let (consent, _) = get(&mock, "/auth/v1/authorize?provider=google").await;
        let (_, page) = get(&mock, &consent).await;
        let state = consent.split("state=").nth(1).unwrap();
        assert!(page.contains(&format!("name=\"state\" value=\"{state}\"")), "{page}");
        let (callback, _) = get(&mock, "/auth/v1/authorize?provider=google&user=ann").await;
        let (site, _) = get(&mock, &callback).await;
        assert!(site.starts_with("http://127.0.0.1:3000#access_token="), "{site}");
        assert!(mock.database().user_by_email("ann@example.com").is_some());
    }
}
