"""The option tree: every key that a local file or the environment may set, with its type, default and meaning.

Names and defaults are those of Portus 2.4 (and of its unreleased successor where it had more); what 2.4 let pass and
tripped over later is refused here.
"""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


class PushPolicy(StrEnum):
    """Who may push, besides administrators."""

    ALLOW_TEAMS = "allow-teams"
    ALLOW_PERSONAL = "allow-personal"
    ADMIN_ONLY = "admin-only"


class SyncStrategy(StrEnum):
    UPDATE_DELETE = "update-delete"
    UPDATE = "update"
    ON_START = "on-start"
    INITIAL = "initial"


def _boolean(value: Any) -> Any:
    word = str(value).strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    msg = "is neither true nor false"
    raise ValueError(msg)


def _number(value: Any) -> Any:
    """Read `587`, and `587,` as 2.4's own files spell it."""
    text = re.sub("[,_]", "", str(value).strip())
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        msg = "is not a whole number"
        raise ValueError(msg)
    return int(text)


def _number_or_off(value: Any) -> Any:
    """Read a number, or `false` as 2.4's operators switched an old option off."""
    off = value is None or str(value).strip().lower() in FALSE - {"0"}
    return None if off else _number(value)


def _minutes(value: Any) -> Any:
    """Read `15`, and the older spellings `5.minutes` and `1.hour`."""
    match = re.fullmatch(r"(\d+)\.(minutes?|hours?)", str(value).strip())
    if match:
        return int(match[1]) * (60 if match[2].startswith("hour") else 1)
    return _number(value)


def _word(value: Any) -> Any:
    """Read one of a few words, in any case."""
    return value.strip().lower() if isinstance(value, str) else value


def _address(value: str) -> str:
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        msg = "is not an e-mail address"
        raise ValueError(msg)
    return value


def _required_address(value: str) -> str:
    if not value:
        msg = "is empty"
        raise ValueError(msg)
    return _address(value)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        msg = f"is not a regular expression ({error})"
        raise ValueError(msg) from error
    return value


def _web_address(value: str) -> str:
    if value and not _is_web_address(value):
        msg = "is not an http(s) address of host, port and path alone"
        raise ValueError(msg)
    return value.rstrip("/")


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (raises when it is not a number)
    except ValueError:
        return False
    plain = "@" not in parts.netloc and not parts.query and not parts.fragment and not re.search(r"\s", value)
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _with_scheme(value: Any) -> Any:
    """Take `clair:6060` for http, as 2.4 did for the servers of scanners."""
    return f"http://{value}" if isinstance(value, str) and value and "://" not in value else value


def _host(value: str) -> str:
    if not re.fullmatch(r"[^\s/@]+", value):
        msg = "is not a host name (without https:// and path)" if value.strip() else "is empty"
        raise ValueError(msg)
    return value


def _networks(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(ip_network(str(part).strip(), strict=False) for part in parts if str(part).strip())
    except (TypeError, ValueError) as error:
        msg = f"is not a list of networks ({error})"
        raise ValueError(msg) from error


def _origins(value: Any) -> Any:
    """Read a list of origins as browsers write them: in lower case, without the port that goes without saying."""
    parts = [str(part).strip() for part in (value.split(",") if isinstance(value, str) else value or ())]
    return tuple(_origin(part) for part in parts if part)


def _origin(text: str) -> str:
    if not _is_web_address(text) or urlsplit(text).path.strip("/") or "*" in text:
        msg = f"is not a list of origins such as https://example.org ({text})"
        raise ValueError(msg)
    parts = urlsplit(text.lower())
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}"


Flag = Annotated[bool, BeforeValidator(_boolean)]
Number = Annotated[int, BeforeValidator(_number)]
Word = BeforeValidator(_word)
Text = str
Address = Annotated[Text, AfterValidator(_address)]
Pattern = Annotated[Text, AfterValidator(_pattern)]
WebAddress = Annotated[Text, AfterValidator(_web_address)]
ScannerAddress = Annotated[Text, BeforeValidator(_with_scheme), AfterValidator(_web_address)]
Secret = SecretStr
Port = Annotated[Number, Field(ge=1, le=65535)]
Seconds = Annotated[Number, Field(ge=1, le=86400)]


def option(default: Any, meaning: str) -> Any:
    return Field(default=default, description=meaning)


def secret(meaning: str) -> Any:
    return Field(default=SecretStr(""), description=meaning)


def feature(default: "Section", meaning: str) -> Any:
    """Return a section with `enabled`; the meaning is that of being on."""
    return Field(default=default, description=meaning)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
    # Django's settings look for this at each access to `settings.PORTUS`; where it is missing, pydantic searches long.
    _mask_wrapped: ClassVar[bool] = True


class On(Section):
    enabled: Flag = True


class Off(Section):
    enabled: Flag = False


class Smtp(Section):
    enabled: Flag = option(False, "Send mail by SMTP; otherwise by the local sendmail.")
    address: Text = option("smtp.example.com", "Host of the SMTP server.")
    port: Port = option(587, "Port of the SMTP server.")
    domain: Text = option("example.com", "Name given in HELO.")
    ssl_tls: Annotated[Literal["", "ssl", "tls"], Word] = option("", "`ssl` or `tls`: encrypted from the first byte.")
    enable_starttls_auto: Flag = option(False, "Encrypt when the server offers STARTTLS.")
    openssl_verify_mode: Annotated[Literal["none", "peer"], Word] = option(
        "none", "Whether the server's certificate is verified."
    )
    ca_path: Text = option("", "Directory of CA certificates.")
    ca_file: Text = option("", "File of CA certificates.")
    user_name: Text = option("", "User name; without one there is no authentication.")
    password: Secret = secret("Password of that user.")
    authentication: Annotated[Literal["login", "plain", "cram_md5"], Word] = option("login", "Kind of authentication.")


class Email(Section):
    from_: Annotated[Text, AfterValidator(_required_address)] = Field(
        default="portus@example.com", alias="from", description="Sender of our mails."
    )
    name: Text = option("Portus", "Name shown with the sender.")
    reply_to: Address = option("", "Address for replies.")
    smtp: Smtp = Smtp()


class GarbageCollector(Section):
    enabled: Flag = option(False, "Delete old tags regularly.")
    older_than: Annotated[Number, Field(ge=1)] = option(30, "Days since the last push and pull.")
    tag: Pattern = option("", "Regular expression that the names of tags to delete match; empty: all.")
    keep_latest: Annotated[Number, Field(ge=0)] = option(5, "Newest tags of a repository that stay in any case.")


class Delete(Section):
    enabled: Flag = option(True, "Whether anybody, administrators included, may delete images.")
    contributors: Flag = option(False, "Whether contributors may delete too.")
    garbage_collector: GarbageCollector = GarbageCollector()


class LdapEncryptionOptions(Section):
    ca_file: Text = option("", "File of CA certificates.")
    ssl_version: Text = option("TLSv1_2", "Protocol version.")


class LdapEncryption(Section):
    # 2.4 took any unknown word for "no encryption" and sent passwords in the clear.
    method: Annotated[Literal["", "plain", "simple_tls", "start_tls", "starttls"], Word] = option(
        "", "How the connection is encrypted."
    )
    options: LdapEncryptionOptions = LdapEncryptionOptions()


class LdapAuthentication(Section):
    enabled: Flag = option(False, "Search with a service account.")
    bind_dn: Text = option("", "DN of the service account.")
    password: Secret = secret("Password of the service account.")


class LdapGuessEmail(Section):
    enabled: Flag = option(False, "Fill the e-mail of a new LDAP user.")
    attr: Text = option("", "Attribute that holds it; empty: made from the DN.")


class LdapGroupSync(Section):
    enabled: Flag = option(True, "Add members of LDAP groups to teams of the same name.")
    default_role: Annotated[Literal["viewer", "contributor", "owner"], Word] = option(
        "viewer", "Role of members added so."
    )


class Ldap(Section):
    enabled: Flag = option(False, "Sign in with LDAP.")
    hostname: Text = option("ldap_hostname", "Host of the LDAP server.")
    port: Port = option(389, "Port of the LDAP server.")
    timeout: Seconds = option(5, "Seconds to wait for the LDAP server.")
    encryption: LdapEncryption = LdapEncryption()
    base: Text = option("", "Where users are searched.")
    admin_base: Text = option("", "Where administrators are searched.")
    group_base: Text = option("", "Where groups are searched.")
    filter: Text = option("", "Filter added to the search.")
    uid: Text = option("uid", "Attribute that holds the user name.")
    authentication: LdapAuthentication = LdapAuthentication()
    guess_email: LdapGuessEmail = LdapGuessEmail()
    group_sync: LdapGroupSync = LdapGroupSync()


class GoogleOptions(Section):
    hd: Text = option("", "Hosted domain.")


class Google(Off):
    id: Text = option("", "Application identifier.")
    secret: Secret = secret("Application secret.")
    domain: Text = option("", "Domain that e-mail addresses must have.")
    options: GoogleOptions = GoogleOptions()


class OpenId(Off):
    identifier: Text = option("", "Address of the provider.")
    domain: Text = option("", "Domain that e-mail addresses must have.")


class OpenIdConnect(Off):
    issuer: WebAddress = option("", "Address of the issuer.")
    identifier: Text = option("", "Application identifier.")
    secret: Secret = secret("Application secret.")


class Github(Off):
    client_id: Text = option("", "Application identifier.")
    client_secret: Secret = secret("Application secret.")
    organization: Text = option("", "Organisation whose members may sign in.")
    team: Text = option("", "Team of that organisation.")
    domain: Text = option("", "Domain that e-mail addresses must have.")


class Gitlab(Off):
    application_id: Text = option("", "Application identifier.")
    secret: Secret = secret("Application secret.")
    group: Text = option("", "Group whose members may sign in.")
    domain: Text = option("", "Domain that e-mail addresses must have.")
    server: WebAddress = option("", "Address of an own GitLab.")


class BitbucketOptions(Section):
    team: Text = option("", "Team whose members may sign in.")


class Bitbucket(Off):
    key: Text = option("", "Application identifier.")
    secret: Secret = secret("Application secret.")
    domain: Text = option("", "Domain that e-mail addresses must have.")
    options: BitbucketOptions = BitbucketOptions()


class Oauth(Section):
    local_login: On = feature(On(), "Sign-in with a name and a password of Portus.")
    google_oauth2: Google = feature(Google(), "Sign-in with Google.")
    open_id: OpenId = feature(OpenId(), "Sign-in with OpenID 2.0.")
    openid_connect: OpenIdConnect = feature(OpenIdConnect(), "Sign-in with OpenID Connect.")
    github: Github = feature(Github(), "Sign-in with GitHub.")
    gitlab: Gitlab = feature(Gitlab(), "Sign-in with GitLab.")
    bitbucket: Bitbucket = feature(Bitbucket(), "Sign-in with Bitbucket.")


class MachineFqdn(Section):
    value: Annotated[Text, AfterValidator(_host)] = option(
        "portus.test.lan", "Our name: the issuer of tokens, and the host in links unless public_url is set."
    )


class TokenLife(Section):
    value: Annotated[int, BeforeValidator(_minutes), Field(ge=1, le=1440)] = option(15, "Minutes a token lives.")


class CatalogPage(Section):
    value: Annotated[Number, Field(ge=1, le=1000)] = option(100, "Entries asked of the registry at once.")


class Timeout(Section):
    value: Seconds = option(2, "Seconds to wait for a connection to the registry.")


class ReadTimeout(Section):
    value: Seconds = option(120, "Seconds to wait for an answer of the registry.")


class RegistryOptions(Section):
    jwt_expiration_time: TokenLife = TokenLife()
    catalog_page: CatalogPage = CatalogPage()
    timeout: Timeout = Timeout()
    read_timeout: ReadTimeout = ReadTimeout()


class PushImages(Section):
    policy: Annotated[PushPolicy, Word] = option(PushPolicy.ALLOW_TEAMS, "Who may push besides administrators.")


class UserPermission(Section):
    change_visibility: On = feature(On(), "Owners of a team change the visibility of its namespaces.")
    create_team: On = feature(On(), "Users create teams.")
    manage_team: On = feature(On(), "Owners change their team and its members.")
    create_namespace: On = feature(On(), "Users create namespaces in which they may push.")
    manage_namespace: On = feature(On(), "Owners change a namespace and its team.")
    create_webhook: On = feature(On(), "Owners create and delete webhooks.")
    manage_webhook: On = feature(On(), "Owners change webhooks, and switch them on and off.")
    push_images: PushImages = PushImages()


class Clair(Section):
    server: ScannerAddress = option("", "Address of Clair; empty: off.")
    health_port: Port = option(6061, "Port of its health check.")
    timeout: Seconds = option(900, "Seconds to wait for a scan.")


class Zypper(Section):
    server: ScannerAddress = option("", "Address of a zypper-docker server; empty: off.")


class Dummy(Section):
    server: Text = option("", "Made-up results, for tests; empty: off.")


class Security(Section):
    clair: Clair = Clair()
    zypper: Zypper = Zypper()
    dummy: Dummy = Dummy()


class Sync(On):
    strategy: Annotated[SyncStrategy, Word] = option(
        SyncStrategy.INITIAL, "When the catalogue is compared with the registry."
    )


class Background(Section):
    registry: On = feature(On(), "What the registry reports is worked off.")
    sync: Sync = feature(Sync(), "The catalogue is compared with the registry.")


class Pagination(Section):
    limit: Annotated[Annotated[int, Field(ge=1, le=100)] | None, BeforeValidator(_number_or_off)] = option(
        None, "Older name of `per_page`, which it overrules."
    )
    per_page: Annotated[Number, Field(ge=1, le=100)] = option(10, "Rows of a page.")
    before_after: Annotated[Number, Field(ge=0, le=20)] = option(2, "Links before and after the current page.")


class Proxies(Section):
    trusted: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)] = option(
        "127.0.0.0/8,::1/128", "Networks whose X-Forwarded-* headers are believed."
    )


class Cors(Section):
    origins: Annotated[tuple[str, ...], BeforeValidator(_origins)] = option(
        "", "Origins whose pages may ask the API from a browser, with an application token; empty: none."
    )


class Web(Section):
    workers: Annotated[Number, Field(ge=1, le=128)] = option(2, "Web processes.")
    threads: Annotated[Number, Field(ge=1, le=64)] = option(4, "Threads of a web process.")
    bind: Text = option("127.0.0.1", "Address to listen on.")
    port: Port = option(3000, "Port to listen on.")
    tls_key: Text = option("", "Private key, to serve https ourselves.")
    tls_certificate: Text = option("", "Certificate that goes with it.")


class Database(Section):
    engine: Literal["sqlite", "postgresql", "mariadb"] = "sqlite"
    name: str = ""
    user: str = ""
    password: str = Field(default="", repr=False)
    host: str = ""
    port: Port | None = None
    socket: str = ""
    options: dict[str, Any] = {}


class Runtime(Section):
    """What only the environment says."""

    data: Path = Path("data")
    registry_port: Port = 5000
    secret_key_base: str = Field(default="", repr=False)
    key_path: Path | None = None
    key_certificate_path: Path | None = None
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    time_zone: str = "UTC"
    url_prefix: str = ""
    init_registry_name: str = "registry"
    init_registry_hostname: str = ""
    init_registry_use_ssl: Flag = False
    database: Database = Database()


class Options(Section):
    email: Email = Email()
    gravatar: On = feature(On(), "Pictures of users come from gravatar.com.")
    delete: Delete = Delete()
    ldap: Ldap = Ldap()
    oauth: Oauth = Oauth()
    first_user_admin: On = feature(On(), "The first user becomes an administrator.")
    signup: On = feature(On(), "People may sign up themselves.")
    check_ssl_usage: On = feature(On(), "Pages are refused over plain HTTP when `public_url` is https.")
    machine_fqdn: MachineFqdn = MachineFqdn()
    display_name: Off = feature(Off(), "Users may have a name to be shown instead of the user name.")
    anonymous_browsing: On = feature(On(), "Public repositories can be browsed without signing in.")
    registry: RegistryOptions = RegistryOptions()
    user_permission: UserPermission = UserPermission()
    security: Security = Security()
    background: Background = Background()
    pagination: Pagination = Pagination()
    public_url: WebAddress = option("", "Where people and registries reach us; empty: https and machine_fqdn.value.")
    proxies: Proxies = Proxies()
    cors: Cors = Cors()
    web: Web = Web()
    runtime: Runtime = Runtime()
