# A stand-in for `gitlab-rails runner -`: the few classes of GitLab that account.rb uses, over a JSON file. It keeps the
# traits that matter: secrets and passwords are stored as hashes, saving what is not valid fails, and every save is
# counted.
require 'digest'
require 'json'

STATE_FILE = ENV.fetch('RAILS_STATE')
STATE = File.exist?(STATE_FILE) ? JSON.parse(File.read(STATE_FILE)) : {
  'password' => Digest::SHA256.hexdigest('from the first boot'), 'tokens' => [], 'applications' => [], 'saves' => []
}

def saved(what)
  STATE['saves'] << what
  File.write(STATE_FILE, JSON.generate(STATE))
end

# Refuses methods that GitLab's own class does not have.
class Record
  def initialize(attributes)
    @attributes = attributes
    @before = attributes.dup
  end

  def self.attributes(*names)
    names.each do |name|
      define_method(name) { @attributes[name.to_s] }
      define_method("#{name}=") { |value| @attributes[name.to_s] = value }
    end
  end
end

class Token < Record
  attributes :name, :revoked

  def self.create!(name:, scopes:, expires_at:)
    known = %w[api read_api read_user create_runner admin_mode sudo read_repository write_repository]
    raise "scopes can only contain available scopes: #{scopes}" unless (scopes - known).empty?
    raise 'expires_at must be within 365 days' unless (Date.today..(Date.today + 365)).cover?(expires_at)

    token = new('name' => name, 'scopes' => scopes, 'revoked' => false, 'digest' => nil)
    STATE['tokens'] << token.instance_variable_get(:@attributes)
    saved("token #{name}")
    token
  end

  def set_token(value)
    raise 'a token has 20 characters after its prefix' unless value.delete_prefix('glpat-').length == 20

    @attributes['digest'] = Digest::SHA256.hexdigest(value)
  end

  def save!
    saved("token #{name}")
  end

  def revoke!
    self.revoked = true
    saved("revoke #{name}")
  end
end

class Relation < Array
  def where(name:)
    Relation.new(select { |token| token.name == name })
  end
end

class Tokens
  def active
    Relation.new(STATE['tokens'].reject { |token| token['revoked'] }.map { |token| Token.new(token) })
  end

  def create!(**arguments)
    Token.create!(**arguments)
  end
end

class User
  attr_writer :password, :password_confirmation, :password_automatically_set

  def self.find_by_username(name)
    name == 'root' ? new : nil
  end

  def valid_password?(value)
    STATE['password'] == Digest::SHA256.hexdigest(value)
  end

  def personal_access_tokens
    Tokens.new
  end

  def save!
    raise 'password confirmation does not match' unless @password == @password_confirmation

    STATE['password'] = Digest::SHA256.hexdigest(@password)
    saved('user root')
  end
end

class Hashed
  def self.store_secret(resource, attribute, plain)
    resource.public_send("#{attribute}=", Digest::SHA512.hexdigest(plain))
  end
end

class Application < Record
  attributes :uid, :name, :redirect_uri, :scopes, :confidential, :trusted, :secret, :owner_id

  def self.all
    STATE['applications'].map { |application| new(application.dup) }
  end

  def self.find_by(uid:)
    all.find { |application| application.uid == uid }
  end

  def self.where(owner_id:)
    all.select { |application| application.owner_id == owner_id }
  end

  def self.new(attributes)
    super(attributes.transform_keys(&:to_s))
  end

  def secret_strategy
    Hashed
  end

  def secret_matches?(plain)
    !secret.nil? && secret == Digest::SHA512.hexdigest(plain)
  end

  def changed?
    known = STATE['applications'].find { |application| application['uid'] == uid }
    known.nil? || known != @attributes
  end

  def save!
    raise 'name, redirect URI and scopes are required' if [name, redirect_uri, scopes].any? { |value| value.to_s.empty? }

    STATE['applications'].reject! { |application| application['uid'] == uid }
    STATE['applications'] << @attributes
    saved("application #{name}")
  end

  def destroy!
    STATE['applications'].reject! { |application| application['uid'] == uid }
    saved("destroy #{name}")
  end
end

module Doorkeeper
  def self.config
    Struct.new(:application_model).new(Application)
  end
end

# What GitLab's own start prints goes to the same output.
puts 'Loading production environment'
eval($stdin.read, TOPLEVEL_BINDING, 'stdin') # rubocop:disable Security/Eval
