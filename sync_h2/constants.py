"""The numbers and names that HTTP/2 fixes (RFC 9113, RFC 7838, RFC 8336, RFC 8441, RFC 9218)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What every client sends first (RFC 9113 section 3.4)."""

MAX_STREAM_ID = 2**31 - 1
MAX_WINDOW_SIZE = 2**31 - 1
DEFAULT_WINDOW_SIZE = 65_535
DEFAULT_MAX_FRAME_SIZE = 16_384
LARGEST_MAX_FRAME_SIZE = 2**24 - 1
FRAME_HEADER_LENGTH = 9


class ErrorCode(IntEnum):
    """Why a stream or a connection ended (RFC 9113 section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


_MOST_CODE = max(ErrorCode)


def error_code(code: int) -> int:
    """The `ErrorCode` that `code` is, or, where nobody has defined one, the number itself."""
    return ErrorCode(code) if 0 <= code <= _MOST_CODE else code


def error_code_name(code: int) -> str:
    """The name of `code` for messages; codes nobody defined are shown as hexadecimal numbers."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"0x{code:x}"


class FrameType(IntEnum):
    """Frame types (RFC 9113 section 6 and the extensions named at each)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    ALTSVC = 0xA  # RFC 7838 section 4
    ORIGIN = 0xC  # RFC 8336 section 2
    PRIORITY_UPDATE = 0x10  # RFC 9218 section 7.1


class FrameFlag(IntFlag):
    """Frame flags (RFC 9113 section 6); ACK and END_STREAM share a bit on different frame types."""

    ACK = 0x1
    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class SettingId(IntEnum):
    """Settings (RFC 9113 section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1)."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    ENABLE_CONNECT_PROTOCOL = 0x8
    NO_RFC7540_PRIORITIES = 0x9


# Values of the option `padding_strategy`.
PADDING_STRATEGY_NONE = "none"
PADDING_STRATEGY_MAX = "max"
PADDING_STRATEGY_ALIGNED = "aligned"

# The names of header fields, as Node's `http2.constants` call them.

HTTP2_HEADER_AUTHORITY = ":authority"
HTTP2_HEADER_METHOD = ":method"
HTTP2_HEADER_PATH = ":path"
HTTP2_HEADER_PROTOCOL = ":protocol"
HTTP2_HEADER_SCHEME = ":scheme"
HTTP2_HEADER_STATUS = ":status"

HTTP2_HEADER_ACCEPT = "accept"
HTTP2_HEADER_ACCEPT_CHARSET = "accept-charset"
HTTP2_HEADER_ACCEPT_ENCODING = "accept-encoding"
HTTP2_HEADER_ACCEPT_LANGUAGE = "accept-language"
HTTP2_HEADER_ACCEPT_RANGES = "accept-ranges"
HTTP2_HEADER_ACCESS_CONTROL_ALLOW_CREDENTIALS = "access-control-allow-credentials"
HTTP2_HEADER_ACCESS_CONTROL_ALLOW_HEADERS = "access-control-allow-headers"
HTTP2_HEADER_ACCESS_CONTROL_ALLOW_METHODS = "access-control-allow-methods"
HTTP2_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN = "access-control-allow-origin"
HTTP2_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS = "access-control-expose-headers"
HTTP2_HEADER_ACCESS_CONTROL_MAX_AGE = "access-control-max-age"
HTTP2_HEADER_ACCESS_CONTROL_REQUEST_HEADERS = "access-control-request-headers"
HTTP2_HEADER_ACCESS_CONTROL_REQUEST_METHOD = "access-control-request-method"
HTTP2_HEADER_AGE = "age"
HTTP2_HEADER_ALLOW = "allow"
HTTP2_HEADER_ALT_SVC = "alt-svc"
HTTP2_HEADER_AUTHORIZATION = "authorization"
HTTP2_HEADER_CACHE_CONTROL = "cache-control"
HTTP2_HEADER_CONNECTION = "connection"
HTTP2_HEADER_CONTENT_DISPOSITION = "content-disposition"
HTTP2_HEADER_CONTENT_ENCODING = "content-encoding"
HTTP2_HEADER_CONTENT_LANGUAGE = "content-language"
HTTP2_HEADER_CONTENT_LENGTH = "content-length"
HTTP2_HEADER_CONTENT_LOCATION = "content-location"
HTTP2_HEADER_CONTENT_MD5 = "content-md5"
HTTP2_HEADER_CONTENT_RANGE = "content-range"
HTTP2_HEADER_CONTENT_SECURITY_POLICY = "content-security-policy"
HTTP2_HEADER_CONTENT_TYPE = "content-type"
HTTP2_HEADER_COOKIE = "cookie"
HTTP2_HEADER_DATE = "date"
HTTP2_HEADER_DNT = "dnt"
HTTP2_HEADER_EARLY_DATA = "early-data"
HTTP2_HEADER_ETAG = "etag"
HTTP2_HEADER_EXPECT = "expect"
HTTP2_HEADER_EXPECT_CT = "expect-ct"
HTTP2_HEADER_EXPIRES = "expires"
HTTP2_HEADER_FORWARDED = "forwarded"
HTTP2_HEADER_FROM = "from"
HTTP2_HEADER_HOST = "host"
HTTP2_HEADER_HTTP2_SETTINGS = "http2-settings"
HTTP2_HEADER_IF_MATCH = "if-match"
HTTP2_HEADER_IF_MODIFIED_SINCE = "if-modified-since"
HTTP2_HEADER_IF_NONE_MATCH = "if-none-match"
HTTP2_HEADER_IF_RANGE = "if-range"
HTTP2_HEADER_IF_UNMODIFIED_SINCE = "if-unmodified-since"
HTTP2_HEADER_KEEP_ALIVE = "keep-alive"
HTTP2_HEADER_LAST_MODIFIED = "last-modified"
HTTP2_HEADER_LINK = "link"
HTTP2_HEADER_LOCATION = "location"
HTTP2_HEADER_MAX_FORWARDS = "max-forwards"
HTTP2_HEADER_ORIGIN = "origin"
HTTP2_HEADER_PREFER = "prefer"
HTTP2_HEADER_PRIORITY = "priority"
HTTP2_HEADER_PROXY_AUTHENTICATE = "proxy-authenticate"
HTTP2_HEADER_PROXY_AUTHORIZATION = "proxy-authorization"
HTTP2_HEADER_PROXY_CONNECTION = "proxy-connection"
HTTP2_HEADER_PURPOSE = "purpose"
HTTP2_HEADER_RANGE = "range"
HTTP2_HEADER_REFERER = "referer"
HTTP2_HEADER_REFRESH = "refresh"
HTTP2_HEADER_RETRY_AFTER = "retry-after"
HTTP2_HEADER_SERVER = "server"
HTTP2_HEADER_SET_COOKIE = "set-cookie"
HTTP2_HEADER_STRICT_TRANSPORT_SECURITY = "strict-transport-security"
HTTP2_HEADER_TE = "te"
HTTP2_HEADER_TIMING_ALLOW_ORIGIN = "timing-allow-origin"
HTTP2_HEADER_TK = "tk"
HTTP2_HEADER_TRAILER = "trailer"
HTTP2_HEADER_TRANSFER_ENCODING = "transfer-encoding"
HTTP2_HEADER_UPGRADE = "upgrade"
HTTP2_HEADER_UPGRADE_INSECURE_REQUESTS = "upgrade-insecure-requests"
HTTP2_HEADER_USER_AGENT = "user-agent"
HTTP2_HEADER_VARY = "vary"
HTTP2_HEADER_VIA = "via"
HTTP2_HEADER_WARNING = "warning"
HTTP2_HEADER_WWW_AUTHENTICATE = "www-authenticate"
HTTP2_HEADER_X_CONTENT_TYPE_OPTIONS = "x-content-type-options"
HTTP2_HEADER_X_FORWARDED_FOR = "x-forwarded-for"
HTTP2_HEADER_X_FRAME_OPTIONS = "x-frame-options"
HTTP2_HEADER_X_XSS_PROTECTION = "x-xss-protection"
