# Runs inside GitLab by `gitlab-rails runner -`, with a line before it that sets PAYLOAD (JSON, in base64).
#
# Does what GitLab's REST API cannot: the password of root, OAuth applications whose ids and secrets are given, and a
# short-lived access token for the API, which it prints. Whatever is as it should be is left alone.
require 'base64'
require 'date'
require 'json'
require 'securerandom'

payload = JSON.parse(Base64.decode64(PAYLOAD))
root = User.find_by_username('root') || abort('GitLab has no user root')

password = payload['rootPassword']
if password && !root.valid_password?(password)
  root.password = password
  root.password_confirmation = password
  root.password_automatically_set = false
  root.save!
  warn 'root: password set'
end

# The name of each of these applications ends like this, so that one which is no longer declared can be told from the
# user's own.
OURS = ' (homelab-ai)'.freeze

if payload['applications']
  model = Doorkeeper.config.application_model
  payload['applications'].each do |wanted|
    application = model.find_by(uid: wanted['id']) || model.new(uid: wanted['id'])
    application.name = wanted['name'] + OURS
    application.redirect_uri = wanted['redirectURIs'].join("\n")
    application.scopes = wanted['scopes'].join(' ')
    application.confidential = true
    application.trusted = true # nobody is asked whether the lab may know them
    unless application.secret_matches?(wanted['secret'])
      # GitLab keeps a hash; which one is the strategy's business.
      application.secret_strategy.store_secret(application, :secret, wanted['secret'])
    end
    next unless application.changed?

    application.save!
    warn "application #{wanted['name']}: registered"
  end

  declared = payload['applications'].map { |wanted| wanted['id'] }
  model.where(owner_id: nil).to_a.each do |application|
    next if declared.include?(application.uid) || !application.name.end_with?(OURS)

    application.destroy!
    warn "application #{application.name}: removed"
  end
end

# A run that was cut off leaves its token behind.
name = "homelab-ai #{payload['step']}"
root.personal_access_tokens.active.where(name: name).to_a.each(&:revoke!)
token = root.personal_access_tokens.create!(
  name: name, scopes: %w[api admin_mode create_runner], expires_at: Date.today + 2
)
value = "glpat-#{SecureRandom.alphanumeric(20)}"
token.set_token(value)
token.save!
puts "token=#{value}"
