package config

import (
	"regexp"
	"time"
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (c *checker) validateBackup() {
	backup := &c.cfg.Backup
	c.cron("backup.schedule", backup.Schedule)
	if retention := c.duration("backup.retention", backup.Retention); retention > 0 && retention < 24*time.Hour {
		c.add(BackupRetention, "backup.retention", backup.Retention, "must be a day at least (24h), or nothing is left to restore from")
	}
	s3 := backup.S3
	if s3 == nil {
		if backup.On() {
			c.add(BackupWithoutTarget, "backup.s3", "", "backups need a target: say endpoint, bucket, accessKeyID and secretAccessKey")
		}
		return
	}
	missing := func(key, fix string) { c.add(S3Incomplete, "backup.s3."+key, "", "%s", fix) }
	if s3.Endpoint == "" {
		missing("endpoint", "say the https URL of the S3 service")
	} else {
		c.url(URL, "backup.s3.endpoint", s3.Endpoint, "https")
	}
	if s3.Bucket == "" {
		missing("bucket", "say the bucket")
	} else if !bucketName.MatchString(s3.Bucket) {
		c.add(Bucket, "backup.s3.bucket", s3.Bucket, "must be 3 to 63 lower-case letters, digits, dots and dashes")
	}
	if s3.AccessKeyID == "" {
		missing("accessKeyID", "say the id of the access key")
	}
	if !s3.SecretAccessKey.IsSet() {
		missing("secretAccessKey", "say the secret of the access key: pulumi config set --secret --path '"+prefix+"backup.s3.secretAccessKey'")
	}
}
