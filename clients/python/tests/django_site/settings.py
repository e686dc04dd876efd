"""The settings; what differs from test to test comes by the environment."""

import os

import posthog

SECRET_KEY = "only for tests"  # noqa: S105
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "django_site.urls"
USE_TZ = True

LLM_GATEWAY_URL = os.environ["SITE_GATEWAY_URL"]
if os.environ["SITE_MODE"] == "debug":
    DEBUG = True
else:
    LLM_GATEWAY_API_KEY = os.environ["SITE_GATEWAY_KEY"]
    OPENAI_API_KEY = "sk-of-this-site"
    OPENAI_BASE_URL = os.environ["SITE_OPENAI_URL"]
    posthog.api_key = posthog.project_api_key = "phc_project"
    posthog.host = os.environ["SITE_POSTHOG_URL"]
    posthog.send = False
