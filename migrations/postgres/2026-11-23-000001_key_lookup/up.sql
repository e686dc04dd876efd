-- The part of PostHog's schema that tokens are looked up in. A table that is there already is PostHog's own, and is left
-- exactly as it is: no column, no trigger. On a table made here, triggers tell running gateways of every change, so that one
-- made by hand takes effect as fast as one made by `keys revoke`.
CREATE FUNCTION pg_temp.llm_gateway_is_missing(name text) RETURNS boolean
    LANGUAGE sql AS $$ SELECT to_regclass(quote_ident(name)) IS NULL $$;

DO $migration$
BEGIN
    IF pg_temp.llm_gateway_is_missing('posthog_user') THEN
        CREATE TABLE posthog_user (
            id              serial PRIMARY KEY,
            email           varchar(254) NOT NULL,
            distinct_id     varchar(200) UNIQUE,
            is_active       boolean NOT NULL DEFAULT true,
            current_team_id integer
        );
        CREATE FUNCTION llm_gateway_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('llm_gateway_keys', '*');
            RETURN NULL;
        END $$;
        CREATE TRIGGER llm_gateway_user_changed AFTER DELETE OR UPDATE ON posthog_user
            FOR EACH ROW EXECUTE FUNCTION llm_gateway_user_changed();
    END IF;

    IF pg_temp.llm_gateway_is_missing('posthog_personalapikey') THEN
        CREATE TABLE posthog_personalapikey (
            id           varchar(50) PRIMARY KEY,
            label        varchar(40) NOT NULL,
            secure_value varchar(300) UNIQUE,
            scopes       varchar(100)[],
            created_at   timestamptz NOT NULL DEFAULT now(),
            last_used_at timestamptz,
            user_id      integer NOT NULL REFERENCES posthog_user (id)
        );
        CREATE FUNCTION llm_gateway_key_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('llm_gateway_keys', coalesce(substring(OLD.secure_value FROM '^sha256\$(.*)$'), '*'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER llm_gateway_key_changed
            AFTER DELETE OR UPDATE OF id, secure_value, scopes, user_id ON posthog_personalapikey
            FOR EACH ROW EXECUTE FUNCTION llm_gateway_key_changed();
    END IF;

    IF pg_temp.llm_gateway_is_missing('posthog_oauthaccesstoken') THEN
        CREATE TABLE posthog_oauthaccesstoken (
            id             bigserial PRIMARY KEY,
            token_checksum varchar(64) UNIQUE,
            scope          text NOT NULL DEFAULT '',
            expires        timestamptz NOT NULL,
            application_id uuid,
            user_id        integer REFERENCES posthog_user (id)
        );
        CREATE FUNCTION llm_gateway_token_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('llm_gateway_keys', coalesce(OLD.token_checksum, '*'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER llm_gateway_token_changed AFTER DELETE OR UPDATE ON posthog_oauthaccesstoken
            FOR EACH ROW EXECUTE FUNCTION llm_gateway_token_changed();
    END IF;
END $migration$;

DROP FUNCTION pg_temp.llm_gateway_is_missing(text);
