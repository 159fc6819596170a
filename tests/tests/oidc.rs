//! Single sign-on against a real provider process, by a browser that keeps cookies and follows nothing by itself. `make test` installs the
//! provider (`.ci/node`); without it this says loudly that it did not run, and on a build machine it fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what is skipped is for the person who reads the output")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use beatbook_tests::bench::scratch;
use beatbook_tests::station::{Places, StationProcess, run};
use serde_json::{Value as Json, json};

const SECRET: &str = "a secret of provider and station";
const PASSWORD: &str = "seven kettles on the roof";

/// The provider's script, in the environment that `.ci/node` makes beside the build.
fn script() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let place = here.ancestors().nth(3)?.join("oidc");
    if place.join("installed.json").exists() {
        return Some(place.join("provider.mjs"));
    }
    let said = format!("{} is missing: `.ci/node` makes it", place.display());
    assert!(std::env::var_os("CI").is_none(), "{said}");
    eprintln!("SKIPPED: single sign-on was NOT tried with a real provider: {said}");
    None
}

/// A provider that runs until this is dropped.
struct ProviderProcess {
    child: Child,
    issuer: String,
    /// Kept open: the provider goes on to say things, and ends where nobody listens.
    _says: BufReader<ChildStdout>,
}

impl ProviderProcess {
    fn start(script: &Path, station: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(script).args([station, SECRET]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let mut issuer = String::new();
        says.read_line(&mut issuer).unwrap();
        Self {
            child,
            issuer: issuer.trim().to_owned(),
            _says: says,
        }
    }
}

impl Drop for ProviderProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser: cookies by host and port, no redirects by itself.
struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

struct Page {
    status: u16,
    location: Option<String>,
    text: String,
}

impl Page {
    #[track_caller]
    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{fault}: {} {}", self.status, self.text))
    }

    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.json()["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.text
        );
    }
}

impl Browser {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            // A connection that the other side is about to close is none to send a form on.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            http,
            cookies: BTreeMap::new(),
        }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let mut request = request.build().unwrap();
        let host = format!("{}:{}", request.url().host_str().unwrap(), request.url().port().unwrap());
        let kept = self.cookies.entry(host).or_default();
        let line: Vec<String> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert("cookie", line.join("; ").parse().unwrap());
        let base = request.url().clone();
        let response = self.http.execute(request).await.unwrap();
        for set in response.headers().get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = response
            .headers()
            .get("location")
            .map(|to| base.join(to.to_str().unwrap()).unwrap().to_string());
        Page {
            status: response.status().as_u16(),
            location,
            text: response.text().await.unwrap(),
        }
    }

    async fn get(&mut self, url: &str) -> Page {
        self.send(self.http.get(url)).await
    }

    async fn post(&mut self, url: &str, body: &Json) -> Page {
        let request = self.http.post(url).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }
}

/// A station with single sign-on, and its provider.
struct House {
    provider: ProviderProcess,
    station: StationProcess,
    places: Places,
    unit: String,
    root: PathBuf,
}

impl House {
    fn build(script: &Path) -> Self {
        let root = scratch("oidc").unwrap();
        let places = Places::under(&root);
        StationProcess::init(&places).unwrap();
        // A port that was free a moment ago: the provider has to know it before the station listens.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let url = format!("http://127.0.0.1:{port}");
        let provider = ProviderProcess::start(script, &url);
        std::fs::write(root.join("secret"), format!("{SECRET}\n")).unwrap();
        let config = format!(
            "[sign_in]\npublic_url = \"{url}\"\n[provider]\nissuer = \"{}\"\nclient_id = \"beatbook\"\nclient_secret_file = {:?}\n\
             account_claim = \"staff_number\"\nfactor_amr = [\"otp\"]\nplain_http_on_loopback = true\n",
            provider.issuer,
            root.join("secret"),
        );
        std::fs::write(root.join("station.toml"), config).unwrap();
        let mut with_config = Command::new("env");
        with_config.arg(format!("BEATBOOK_CONFIG={}", root.join("station.toml").display()));
        let station = StationProcess::serve_under(with_config, &places, &format!("127.0.0.1:{port}")).unwrap();
        let mut house = Self {
            provider,
            station,
            places,
            unit: String::new(),
            root,
        };
        let people: Json = serde_json::from_str(&house.run(&["user", "list"])).unwrap();
        house.unit = people[0]["unit"].as_str().unwrap().to_owned();
        house
    }

    fn run(&self, arguments: &[&str]) -> String {
        let (data, keys) = (self.places.data.to_string_lossy(), self.places.keys.to_string_lossy());
        run(&[arguments, &["--json", "--data", &data, "--keys", &keys]].concat()).unwrap()
    }

    /// A person who is invited under this account's name; his invitation.
    fn invited(&self, account: &str, role: &str) -> String {
        let added = self.run(&["user", "add", "--name", account, "--role", role, "--unit", &self.unit]);
        let added: Json = serde_json::from_str(&added).unwrap();
        let invited = self.run(&[
            "user",
            "invite",
            "--user",
            added["user"].as_str().unwrap(),
            "--account",
            account,
        ]);
        let invited: Json = serde_json::from_str(&invited).unwrap();
        invited["invitation"].as_str().unwrap().to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.station.url())
    }

    /// Goes to the provider, shows there what `shown` says, and gives where the provider sends the browser back to.
    async fn way_back(&self, browser: &mut Browser, invitation: Option<&str>, shown: &str) -> String {
        let start = browser
            .post(&self.url("/api/v1/sign-in/provider"), &json!({ "invitation": invitation }))
            .await;
        assert_eq!(start.status, 200, "{}", start.text);
        let mut next = start.json()["location"].as_str().unwrap().to_owned();
        assert!(
            next.contains("code_challenge_method=S256") && next.contains("nonce=") && next.contains("state="),
            "{next}"
        );
        for _ in 0..10 {
            if next.starts_with(self.station.url()) {
                return next;
            }
            let page = if next.contains("/interaction/") {
                let form = browser
                    .http
                    .post(&next)
                    .header("content-type", "application/x-www-form-urlencoded");
                browser.send(form.body(shown.to_owned())).await
            } else {
                browser.get(&next).await
            };
            next = page.location.unwrap_or_else(|| panic!("{} {}", page.status, page.text));
        }
        panic!("the provider sends in circles: {next}")
    }

    /// The whole way, in a browser of its own.
    async fn sign_in(&self, invitation: Option<&str>, shown: &str) -> (Browser, Page) {
        let mut browser = Browser::new();
        let back = self.way_back(&mut browser, invitation, shown).await;
        let page = browser.get(&back).await;
        (browser, page)
    }
}

#[tokio::test]
async fn a_person_signs_in_by_a_real_provider_and_nobody_else_does() {
    let Some(script) = script() else { return };
    let house = House::build(&script);
    people_are_linked_by_an_invitation_or_by_their_accounts_name(&house).await;
    a_role_that_needs_a_second_factor_gets_one_from_the_provider(&house).await;
    what_does_not_belong_together_is_refused(&house).await;
    std::fs::remove_dir_all(&house.root).unwrap();
}

async fn people_are_linked_by_an_invitation_or_by_their_accounts_name(house: &House) {
    let (_, page) = house.sign_in(None, "login=at-provider-wang&amr=pwd").await;
    page.refused(403, "not_linked");

    let invitation = house.invited("wang", "officer");
    let (mut browser, page) = house.sign_in(Some(&invitation), "login=subject-1&amr=pwd").await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert_eq!(page.json()["token"], "", "the token is in the cookie alone");
    let present = browser.get(&house.url("/api/v1/session")).await.json();
    assert_eq!(present["person"]["name"], "wang");
    assert_eq!(present["session"]["via"], "provider");
    assert!(present["session"]["factor"].is_null());

    // The next time without an invitation, and not with the one that was used.
    let (mut again, page) = house.sign_in(None, "login=subject-1").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let (_, page) = house.sign_in(Some(&invitation), "login=subject-1").await;
    page.refused(404, "invitation");

    // Who has an account is found by the claim that the operator named; somebody else at the provider cannot take it after him.
    let invitation = house.invited("zhao", "officer");
    let body = json!({ "invitation": invitation, "password": PASSWORD });
    let accepted = Browser::new().post(&house.url("/api/v1/invitations/accept"), &body).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    let (_, page) = house.sign_in(None, "login=at-provider-zhao").await;
    assert_eq!(page.json()["session"]["name"], "zhao", "{}", page.text);
    let (_, page) = house.sign_in(None, "login=zhao").await;
    page.refused(403, "not_linked");

    // Signing out ends the session here, and says where the one at the provider is ended.
    let csrf = again.get(&house.url("/api/v1/session")).await.json()["csrf"]
        .as_str()
        .unwrap()
        .to_owned();
    let end = again.http.post(house.url("/api/v1/session/end"));
    let end = end.header("beatbook-csrf", csrf).header("origin", house.station.url());
    let kept = again.cookies.clone();
    let ended = again.send(end).await.json();
    let there = again.get(ended["provider_location"].as_str().unwrap()).await;
    assert_eq!(there.status, 200, "{}", there.text);
    again.cookies = kept;
    again.get(&house.url("/api/v1/session")).await.refused(401, "token");
}

async fn a_role_that_needs_a_second_factor_gets_one_from_the_provider(house: &House) {
    let invitation = house.invited("li", "chief");
    let (_, page) = house.sign_in(Some(&invitation), "login=subject-2&amr=pwd").await;
    page.refused(403, "factor_missing");
    let (_, page) = house.sign_in(Some(&invitation), "login=subject-2&amr=pwd&amr=otp").await;
    assert_eq!(page.json()["factor"], "provider", "{}", page.text);
    let (_, page) = house.sign_in(None, "login=subject-2&amr=pwd").await;
    page.refused(403, "factor_missing");
}

async fn what_does_not_belong_together_is_refused(house: &House) {
    // Another browser than the one that went: an attacker's code brought to somebody else, or somebody's code stolen.
    let mut browser = Browser::new();
    let back = house.way_back(&mut browser, None, "login=subject-1").await;
    Browser::new().get(&back).await.refused(401, "provider");

    // Two flows of two browsers, crossed.
    let mut other = Browser::new();
    let others = house.way_back(&mut other, None, "login=subject-2&amr=otp").await;
    browser.get(&others).await.refused(401, "provider");

    // The same answer twice: the provider gives a code once.
    let back = house.way_back(&mut browser, None, "login=subject-1").await;
    let kept = browser.cookies.clone();
    assert_eq!(browser.get(&back).await.status, 200);
    browser.cookies = kept;
    browser.get(&back).await.refused(401, "provider");

    // A state, an issuer, a code and a flow that were made up.
    for (part, instead) in [("state=", "state=x"), ("iss=http", "iss=https"), ("code=", "code=x")] {
        let mut browser = Browser::new();
        let back = house.way_back(&mut browser, None, "login=subject-1").await;
        assert!(back.contains(part), "{back}");
        browser.get(&back.replacen(part, instead, 1)).await.refused(401, "provider");
    }
    let mut browser = Browser::new();
    let back = house.way_back(&mut browser, None, "login=subject-1").await;
    for cookies in browser.cookies.values_mut() {
        for (name, value) in cookies.iter_mut().filter(|(name, _)| name.ends_with("flow")) {
            assert_eq!(name, "beatbook-flow");
            value.replace_range(40..44, "AAAA");
        }
    }
    browser.get(&back).await.refused(401, "provider");

    // The person says no there, and comes back without anything.
    let (_, page) = house.sign_in(None, "refuse=1").await;
    page.refused(401, "provider");
    Browser::new()
        .get(&house.url("/api/v1/sign-in/provider/callback"))
        .await
        .refused(401, "provider");

    // A page of another site begins a flow in somebody's browser.
    let mut browser = Browser::new();
    let start = browser.http.post(house.url("/api/v1/sign-in/provider")).body("{}");
    let start = start
        .header("content-type", "application/json")
        .header("origin", "https://evil.example");
    browser.send(start).await.refused(403, "other_site");
    assert!(browser.cookies.values().all(BTreeMap::is_empty));

    let log = std::fs::read_to_string(house.places.data.with_extension("log")).unwrap();
    assert!(
        log.contains("answered") && !log.contains(SECRET) && !log.contains("code=") && !log.contains("subject-1"),
        "{log}"
    );
    assert!(!house.provider.issuer.is_empty());
}
