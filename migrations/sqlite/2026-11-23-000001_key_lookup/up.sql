-- The part of PostHog's schema that tokens are looked up in. Arrays are text separated by spaces, times are ISO 8601 in UTC.
CREATE TABLE IF NOT EXISTS posthog_user (
    id              integer PRIMARY KEY,
    email           text NOT NULL,
    distinct_id     text UNIQUE,
    is_active       boolean NOT NULL DEFAULT true,
    current_team_id integer
);
CREATE TABLE IF NOT EXISTS posthog_personalapikey (
    id           text PRIMARY KEY,
    label        text NOT NULL,
    secure_value text UNIQUE,
    scopes       text,
    created_at   text NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')),
    last_used_at text,
    user_id      integer NOT NULL REFERENCES posthog_user (id)
);
CREATE TABLE IF NOT EXISTS posthog_oauthaccesstoken (
    id             integer PRIMARY KEY,
    token_checksum text UNIQUE,
    scope          text NOT NULL DEFAULT '',
    expires        text NOT NULL,
    application_id text,
    user_id        integer REFERENCES posthog_user (id)
);
