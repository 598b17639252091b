//! A user in a company's network: nothing leaves it but by the company's proxy, which opens TLS
//! with an authority of its own. What a sandbox asks for comes through both, and the proxy's
//! password stays outside.

use std::path::{Path, PathBuf};

use midwatch_testkit::company::Company;

use crate::house::{House, Told, holding, tell};

mod site;

use site::{Authority, Site};

/// The password that the proxy wants, and that is nowhere else on this machine.
const PASSWORD: &str = "canary-proxy-kqzvwj-93";

/// A name of the outside, which only the proxy can resolve.
const NAME: &str = "site.midwatch.example";

struct Office {
    house: House,
    repository: PathBuf,
    company: Company,
    _site: Site,
}

/// The user, with the variables that everybody sets there.
fn office() -> Office {
    let house = House::new();
    let authority = Authority::new(&house.folder("authority"));
    let files = house.folder("site");
    std::fs::write(files.join("hello.txt"), "reached\n").unwrap();
    let source = house.repository("source", &[("library.txt", "cloned\n")]);
    let bare = files.join("repo.git");
    house.git(&source, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    house.git(&bare, &["update-server-info"]);
    let site = Site::start(files, &authority, NAME);
    let places = [(&*format!("{NAME}:443"), site.port)];
    let company = Company::start(&format!("user:{PASSWORD}"), &places).unwrap();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let house = house
        .with("SSL_CERT_FILE", authority.file())
        .with("HTTPS_PROXY", company.url(&format!("user:{PASSWORD}@")))
        .with("NO_PROXY", "localhost,.intra.example")
        .with("MIDWATCH_PROXY_RESOLVES", "1");
    Office { house, repository, company, _site: site }
}

fn run(house: &House, repository: &Path, egress: &str) -> Told {
    let profile = house.scripted(&format!(", egress: {egress}"));
    let goal = format!(
        "do: run curl -sS https://{NAME}/hello.txt > got.txt 2>&1 || echo refused >> got.txt\n\
         do: run git clone -q https://{NAME}/repo.git /tmp/cloned >> got.txt 2>&1; \
         cat /tmp/cloned/library.txt >> got.txt 2>/dev/null || echo refused >> got.txt\n\
         do: run env >> got.txt\n"
    );
    let profile = profile.to_str().unwrap();
    let flags = ["--profile", profile, "--pipeline", "quick", "--check", "test -s got.txt"];
    house.midwatch(repository, &[&["run", &goal][..], &flags[..]].concat())
}

/// What the agent got, and committed.
fn got(house: &House, repository: &Path, told: &Told) -> String {
    let branch = told.result["branch"].as_str().unwrap();
    house.git(repository, &["show", &format!("{branch}:got.txt")])
}

#[test]
fn curl_and_git_reach_the_outside_through_the_companys_proxy() {
    let Office { house, repository, company, _site } = office();
    let told = run(&house, &repository, "public");
    told.is_done();
    assert!(told.found("proxy").contains("127.0.0.1:"), "{}", told.stderr);
    assert!(told.found("proxy").ends_with("unchecked"), "{}", told.stderr);
    let text = got(&house, &repository, &told);
    assert!(text.starts_with("reached\ncloned\n"), "{text}");
    assert!(text.contains("\nGIT_SSL_CAINFO=/midwatch/ca.pem"), "{text}");
    let seen = company.take();
    assert!(seen.len() >= 2, "{seen:?}");
    for line in &seen {
        assert_eq!(*line, format!("200 CONNECT {NAME}:443 HTTP/1.1"));
    }

    // The password is where the user has it, and nowhere else: not even after the task, which
    // alone it was kept for.
    for said in [&told.stdout, &told.stderr, &text] {
        assert!(!said.contains(PASSWORD), "{said}");
    }
    let gone = crate::house::until(crate::house::LIMIT, || {
        holding(&house.state(), PASSWORD).is_empty() && holding(&repository, PASSWORD).is_empty()
    });
    assert!(gone, "{:?}", holding(&house.state(), PASSWORD));
    std::fs::write(house.state().join("planted"), format!("x{PASSWORD}y")).unwrap();
    assert_eq!(holding(&house.state(), PASSWORD), [house.state().join("planted")], "the control");
}

#[test]
fn without_the_proxy_or_with_another_login_nothing_comes_through() {
    let Office { house, repository, company, _site } = office();
    let house = house.with("HTTPS_PROXY", company.url("user:canary-wrong-login@"));
    let told = run(&house, &repository, "public");
    told.is_done();
    let text = got(&house, &repository, &told);
    assert!(text.contains("refused") && !text.contains("reached"), "{text}");
    assert!(!text.contains("cloned\n") && !text.contains("canary"), "{text}");
    let seen = company.take();
    assert!(!seen.is_empty() && seen.iter().all(|line| line.starts_with("407 ")), "{seen:?}");

    let house = house.without("HTTPS_PROXY");
    let told = run(&house, &repository, "public");
    told.is_done();
    let text = got(&house, &repository, &told);
    assert!(text.contains("refused") && !text.contains("reached"), "{text}");

    // A name that cannot be checked is not handed on unless the user says so.
    let house = house
        .with("HTTPS_PROXY", company.url(&format!("user:{PASSWORD}@")))
        .without("MIDWATCH_PROXY_RESOLVES");
    let told = run(&house, &repository, "public");
    told.is_done();
    let text = got(&house, &repository, &told);
    assert!(text.contains("refused") && !text.contains("reached"), "{text}");
    assert_eq!(company.take(), [""; 0]);
    tell("company's proxy: ways tried without it 3 / came through 0");
}

/// Maven asks for a parent and gradle for a script, which is the first that either does. The
/// controls take the operator's authority away from them.
#[test]
fn maven_and_gradle_trust_the_companys_authority() {
    let Office { house, repository, company, _site } = office();
    for tool in ["mvn", "gradle"] {
        if !Path::new("/usr/bin").join(tool).exists() {
            return tell(&format!("NOT RUN: a company's authority and Java: no {tool}"));
        }
    }
    std::fs::write(house.folder("site").join("x.gradle"), "println 'fetched'\n").unwrap();
    std::fs::create_dir(repository.join("maven")).unwrap();
    let pom = format!(
        "<project><modelVersion>4.0.0</modelVersion><parent><groupId>g</groupId>\
         <artifactId>parent</artifactId><version>1</version><relativePath/></parent>\
         <artifactId>a</artifactId><repositories><repository><id>central</id>\
         <url>https://{NAME}/maven</url></repository></repositories></project>\n"
    );
    std::fs::write(repository.join("maven/pom.xml"), pom).unwrap();
    std::fs::create_dir(repository.join("gradle")).unwrap();
    std::fs::write(repository.join("gradle/settings.gradle"), "").unwrap();
    let script = format!("apply from: 'https://{NAME}/x.gradle'\n");
    std::fs::write(repository.join("gradle/build.gradle"), script).unwrap();
    house.commit(&repository, "java");
    let maven = "mvn -B -f maven validate";
    let gradle = "gradle --no-daemon -q -p gradle help";
    let goal = format!(
        "do: run {maven} > maven.txt 2>&1 || true\n\
         do: run MAVEN_OPTS= {maven} -U > untrusted.txt 2>&1 || true\n\
         do: run {gradle} > gradle.txt 2>&1 || true\n\
         do: run sed -i /ssl/d ~/.gradle/gradle.properties; {gradle} > bare.txt 2>&1 || true\n\
         do: run rm -rf gradle/.gradle\n"
    );
    let profile = house.scripted(", egress: public");
    let profile = profile.to_str().unwrap();
    let flags = ["--profile", profile, "--pipeline", "quick", "--check", "test -s gradle.txt"];
    let told = house.midwatch(&repository, &[&["run", &goal, "--setup", ""][..], &flags].concat());
    told.is_done();
    let branch = told.result["branch"].as_str().unwrap();
    let file = |name: &str| house.git(&repository, &["show", &format!("{branch}:{name}")]);
    // The site has no such parent, which nobody can say without having asked it.
    let said = file("maven.txt");
    assert!(said.contains("Could not find artifact g:parent:pom:1 in central"), "{said}");
    let said = file("untrusted.txt");
    assert!(said.contains("PKIX path"), "the control: {said}");
    let said = file("gradle.txt");
    assert!(said.contains("fetched"), "{said}");
    let said = file("bare.txt");
    assert!(!said.contains("fetched") && said.contains("x.gradle"), "the control: {said}");
    assert!(company.take().len() >= 4);
}

#[test]
fn a_proxy_that_cannot_be_used_is_said_before_anything_begins() {
    let Office { house, repository, .. } = office();
    for (value, rule) in [
        ("socks5://user:canary@proxy:1080", "http:// proxy"),
        ("http://169.254.169.254:80", "169.254.0.0/16"),
        ("http://0x7f.1:3128", "four plain decimal numbers"),
    ] {
        let house = House::new().with("HTTPS_PROXY", value);
        let told = house.run(&repository, "do: say hi", &["--check", "true"]);
        assert_eq!(told.code, Some(2), "{}", told.stderr);
        assert!(
            told.stderr.contains("HTTPS_PROXY") && told.stderr.contains(rule),
            "{}",
            told.stderr
        );
        assert!(!told.stderr.contains("canary") && !told.stdout.contains("canary"));
    }
    drop(house);
}
